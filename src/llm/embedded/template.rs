//! A conversation as the model was trained to see it: by the template in its file, or by a plain form.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State, context};
use serde_json::json;

use super::super::{ChatMessage, LlmError, Role};
use super::file::GgufFile;
use super::tokenizer::{PromptPart, Tokenizer};

/// Where the form of a conversation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TemplateOrigin {
    /// The model file.
    File,
    /// `<|im_start|>` and `<|im_end|>`, which the vocabulary has.
    ChatMl,
    /// `System:`, `User:` and `Assistant:` before the turns.
    Plain,
}

impl TemplateOrigin {
    /// For the record of a run.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "from file",
            Self::ChatMl => "chatml",
            Self::Plain => "plain",
        }
    }
}

const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
                      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const PLAIN: &str = "{{ bos_token }}{% for message in messages %}{{ message.role | capitalize }}: \
                     {{ message.content }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

/// Marks around the number of a turn, in place of its text: no template looks for private characters, and no text of ours
/// goes through the template, so that nothing in it can be taken for part of the form.
const MARKS: [char; 2] = ['\u{f8fe}', '\u{f8ff}'];

/// A form of conversations.
pub(super) struct Template {
    environment: Environment<'static>,
    pub(super) origin: TemplateOrigin,
    /// The form has no place for a system turn: it goes before the first user turn.
    folds_system: bool,
    /// The form cuts white space off the turns.
    trims: bool,
    names: [String; 2],
}

/// The longest template of a model in use is a tenth of this.
const LONGEST: usize = 128 << 10;
/// What a template may do, in steps of the engine: loops over a few turns take some thousands.
const FUEL: u64 = 100_000;
/// Macros within macros.
const DEPTH: usize = 100;
/// More examples than any guideline and its experts give.
const MOST_EXAMPLES: usize = 256;
/// What a form may come to, in bytes.
const LONGEST_FORM: usize = 4 << 20;
/// A chain of operators is a tree as deep as it is long, and is walked by recursion: this is room for the longest. It is
/// reserved, and taken only as far as it is used. What no limit here holds is memory: a template can double a text, until there
/// is none. That it does not is found out by a process of its own (`workflow/models/examine.rs`).
const STACK: usize = 256 << 20;

/// Compiles a template.
fn environment(source: &str) -> Result<Environment<'static>, Error> {
    if source.len() > LONGEST {
        let said = format!("it has {} bytes, and {LONGEST} are the most", source.len());
        return Err(Error::new(ErrorKind::InvalidOperation, said));
    }
    on_a_deep_stack(|| compiled(source))
}

/// A template may build a value as deep as it has steps, and to drop one is recursion too.
fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let failed = |what: &'static str| Error::new(ErrorKind::InvalidOperation, what);
    std::thread::scope(|scope| {
        // An error may hold such a value too: only its words leave the thread.
        let work = || work().map_err(|error| Error::new(error.kind(), error.detail().unwrap_or("an error").to_owned()));
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|_| failed("there is no memory for it"))?;
        thread.join().unwrap_or_else(|_| Err(failed("it failed")))
    })
}

fn compiled(source: &str) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.add_function("raise_exception", |what: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, what))
    });
    // No clock: the same conversation gives the same prompt on any day.
    environment.add_function("strftime_now", |_: String| "2024-07-26".to_owned());
    environment.set_unknown_method_callback(python_method);
    environment.add_template_owned("chat", source.to_owned())?;
    Ok(environment)
}

/// The methods of Python's values that templates use.
fn python_method(_: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::new(ErrorKind::UnknownMethod, format!("no method {method} here"));
    if let Some(text) = value.as_str() {
        let arg = |at: usize| args.get(at).and_then(Value::as_str);
        let strip = |side: fn(&str, &dyn Fn(char) -> bool) -> String| match arg(0) {
            Some(set) => side(text, &|c| set.contains(c)),
            None => side(text, &char::is_whitespace),
        };
        return Ok(match method {
            "strip" => Value::from(strip(|t, f| t.trim_matches(f).to_owned())),
            "lstrip" => Value::from(strip(|t, f| t.trim_start_matches(f).to_owned())),
            "rstrip" => Value::from(strip(|t, f| t.trim_end_matches(f).to_owned())),
            "upper" => Value::from(text.to_uppercase()),
            "lower" => Value::from(text.to_lowercase()),
            "title" | "capitalize" => {
                let mut chars = text.chars();
                let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
                Value::from(first + &chars.as_str().to_lowercase())
            }
            "startswith" => Value::from(text.starts_with(arg(0).ok_or_else(unknown)?)),
            "endswith" => Value::from(text.ends_with(arg(0).ok_or_else(unknown)?)),
            "replace" => Value::from(text.replace(arg(0).ok_or_else(unknown)?, arg(1).ok_or_else(unknown)?)),
            "find" => Value::from(text.find(arg(0).ok_or_else(unknown)?).map_or(-1, |at| at as i64)),
            "split" => match arg(0) {
                Some(by) => text.split(by).map(Value::from).collect(),
                None => text.split_whitespace().map(Value::from).collect(),
            },
            _ => return Err(unknown()),
        });
    }
    let map = match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => Some(map),
        _ => None,
    };
    match (map, method) {
        (Some(map), "items") => Ok(Value::from_serialize(map.iter().collect::<Vec<_>>())),
        (Some(map), "keys") => Ok(Value::from_serialize(map.keys().collect::<Vec<_>>())),
        (Some(map), "values") => Ok(Value::from_serialize(map.values().collect::<Vec<_>>())),
        (Some(map), "get") => {
            let found = args.first().and_then(Value::as_str).and_then(|key| map.get(key));
            Ok(found.map_or_else(|| args.get(1).cloned().unwrap_or(Value::from(())), Value::from_serialize))
        }
        _ => Err(unknown()),
    }
}

/// What a template writes, up to [`LONGEST_FORM`].
struct Form(Vec<u8>);

impl std::io::Write for Form {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_FORM {
            return Err(std::io::Error::other("it writes without end"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Template {
    /// Takes the file's template, or one that its vocabulary allows.
    pub(super) fn read(file: &GgufFile, tokenizer: &Tokenizer) -> Result<Self, LlmError> {
        let (source, origin) = match file.text("tokenizer.chat_template").filter(|t| !t.trim().is_empty()) {
            Some(source) => (source, TemplateOrigin::File),
            None if tokenizer.control("<|im_start|>").is_some() => (CHATML, TemplateOrigin::ChatMl),
            None => (PLAIN, TemplateOrigin::Plain),
        };
        let broken = |error: &dyn std::fmt::Display| file.wrong(format!("its chat template cannot be used: {error}"));
        let environment = environment(source).map_err(|error| broken(&error))?;
        let mut template = Self {
            environment,
            origin,
            folds_system: false,
            trims: false,
            names: tokenizer.names().map(str::to_owned),
        };
        let sample = [Role::System, Role::User, Role::Assistant, Role::User];
        if !template.renders(&sample) {
            template.folds_system = true;
        }
        let sample = if template.folds_system { &sample[1..] } else { &sample };
        let turns: Vec<serde_json::Value> = sample
            .iter()
            .map(|role| json!({ "role": role, "content": format!(" {}x{} ", MARKS[0], MARKS[1]) }))
            .collect();
        let shown = template.render(&turns).map_err(|error| broken(&error))?;
        if shown.matches(MARKS[0]).count() != sample.len() {
            return Err(broken(&"it leaves turns out"));
        }
        template.trims = !shown.contains(&format!(" {}x{} ", MARKS[0], MARKS[1]));
        Ok(template)
    }

    /// Writes conversations with up to [`MOST_EXAMPLES`] examples, with and without a system turn: what it writes depends on
    /// the roles alone, so one that comes through here does no harm later.
    pub(super) fn try_all(&self) {
        let mut roles = vec![Role::System];
        for _ in 0..=MOST_EXAMPLES {
            roles.push(Role::User);
            self.renders(&roles);
            self.renders(&roles[1..]);
            roles.push(Role::Assistant);
        }
    }

    fn renders(&self, roles: &[Role]) -> bool {
        let turns: Vec<serde_json::Value> = roles
            .iter()
            .enumerate()
            .map(|(at, role)| json!({ "role": role, "content": format!("{}{at}{}", MARKS[0], MARKS[1]) }))
            .collect();
        self.render(&turns).is_ok_and(|shown| shown.matches(MARKS[0]).count() == roles.len())
    }

    fn render(&self, turns: &[serde_json::Value]) -> Result<String, Error> {
        let [bos_token, eos_token] = &self.names;
        let mut form = Form(Vec::new());
        let values = context! {
            messages => Value::from_serialize(turns),
            add_generation_prompt => true,
            enable_thinking => false,
            tools => Value::from(()),
            bos_token => bos_token,
            eos_token => eos_token,
        };
        on_a_deep_stack(|| {
            self.environment.get_template("chat")?.render_captured_to(values, &mut form)?;
            Ok(())
        })?;
        String::from_utf8(form.0).map_err(|_| Error::new(ErrorKind::WriteFailure, "it writes no text"))
    }

    /// A conversation up to where the model answers, in parts of the form and of the turns.
    pub(super) fn parts(&self, turns: &[ChatMessage]) -> Result<Vec<PromptPart>, LlmError> {
        let mut contents: Vec<(Role, String)> = Vec::new();
        for turn in turns {
            let text = if self.trims { turn.content.trim() } else { &turn.content };
            match contents.last_mut() {
                Some((role @ Role::System, before)) if self.folds_system => {
                    *role = turn.role;
                    *before = format!("{before}\n\n{text}");
                }
                _ => contents.push((turn.role, text.to_owned())),
            }
        }
        if let [(role @ Role::System, _)] = contents.as_mut_slice()
            && self.folds_system
        {
            *role = Role::User;
        }
        let messages: Vec<serde_json::Value> = contents
            .iter()
            .enumerate()
            .map(|(at, (role, _))| json!({ "role": role, "content": format!("{}{at}{}", MARKS[0], MARKS[1]) }))
            .collect();
        let wrong =
            |what: &dyn std::fmt::Display| LlmError::Unanswerable(format!("the model's chat template says: {what}"));
        let shown = self.render(&messages).map_err(|error| wrong(&error.detail().unwrap_or("an error")))?;
        let mut parts = Vec::new();
        let mut rest = shown.as_str();
        while let Some((form, after)) = rest.split_once(MARKS[0]) {
            let (number, after) = after.split_once(MARKS[1]).ok_or_else(|| wrong(&"it cuts turns"))?;
            let (_, text) =
                number.parse::<usize>().ok().and_then(|at| contents.get(at)).ok_or_else(|| wrong(&"it cuts turns"))?;
            parts.push(PromptPart::Template(form.to_owned()));
            parts.push(PromptPart::Plain(text.clone()));
            rest = after;
        }
        parts.push(PromptPart::Template(rest.to_owned()));
        Ok(parts)
    }
}

/// What a template as a file may hold it makes of one turn.
pub(crate) fn written(source: &str) -> Result<String, Error> {
    let template = Template {
        environment: environment(source)?,
        origin: TemplateOrigin::File,
        folds_system: false,
        trims: false,
        names: [String::new(), String::new()],
    };
    template.render(&[json!({ "role": "user", "content": "x" })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_template_is_refused() {
        let deep = |open: &str, close: &str, n: usize| format!("{{{{ {}1{} }}}}", open.repeat(n), close.repeat(n));
        for hostile in [
            deep("(", ")", 50_000),
            deep("[", "]", 50_000),
            format!("{}{}", "{% if 1 %}".repeat(10_000), "{% endif %}".repeat(10_000)),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
            "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}".to_owned(),
            "{% for a in range(9999) %}{{ 'x' * 100000 }}{% endfor %}".to_owned(),
            "{{ 'x' * 99999999999 }}".to_owned(),
            "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}".to_owned(),
            "x".repeat(LONGEST + 1),
        ] {
            assert!(written(&hostile).is_err(), "{}", &hostile[..60.min(hostile.len())]);
        }
        // Longer than any real one, and a tree as deep as it is long: read or refused, never a crash.
        for long in [
            deep("not ", "", 30_000),
            deep("-", "", 120_000),
            format!("{{{{ 'a'{} }}}}", " ~ 'a'".repeat(20_000)),
            format!("{{{{ 1{} }}}}", " + 1".repeat(30_000)),
            format!("{{{{ 'a'{} }}}}", "|upper".repeat(20_000)),
            format!("{{{{ messages{} is defined }}}}", ".a".repeat(60_000)),
        ] {
            let _ = written(&long);
        }
        assert_eq!(written("{% for m in messages %}{{ m.content | upper }}{% endfor %}").unwrap(), "X");
    }
}
