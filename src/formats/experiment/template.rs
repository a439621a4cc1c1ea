//! Templates of markup, filled in.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::FormatError;

/// Fills in a template. What it is given is text, which `escape` keeps from being markup; only what is called safe goes in
/// as it is.
pub(super) fn fill(
    template: &str,
    syntax: SyntaxConfig,
    escape: fn(&str) -> String,
    given: Value,
) -> Result<String, FormatError> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // With any kind but none, what a macro has written counts as safe: it was escaped inside.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(move |out, _, value| {
        let text = value.to_string();
        Ok(out.write_str(&if value.is_safe() { text } else { escape(&text) })?)
    });
    Ok(environment.render_str(template, given)?)
}
