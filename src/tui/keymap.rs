//! Keys: actions with their default keys, the user's overrides, and help made from what is live.

use std::collections::{BTreeMap, HashMap};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key can do. Category shortcuts come from the taxonomy and are not actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    /// Accept the proposal, commit what is toggled, or open what is selected.
    Accept,
    /// Decide that no category applies.
    None,
    /// Throw a synthetic sentence out.
    Reject,
    /// Reword a synthetic sentence.
    Edit,
    /// Go to the next sentence or row.
    Next,
    /// Go to the one before.
    Previous,
    /// Go right in a table.
    Right,
    /// Go left in a table.
    Left,
    /// Go to the next sentence that is open.
    NextOpen,
    /// Take the last decision back.
    Undo,
    /// Restore it.
    Redo,
    /// Put the sentence off.
    Skip,
    /// Mark it for another look.
    Flag,
    /// Write a remark.
    Comment,
    /// Search and filter.
    Search,
    /// Go through the labels that may be wrong, or back to all sentences.
    Doubts,
    /// Make the case just settled an example in the guideline.
    Example,
    /// Show the guideline.
    Guideline,
    /// Show the keys.
    Help,
    /// Find an action by name.
    Palette,
    NextScreen,
    PreviousScreen,
    /// Silver or classifier, in Metrics.
    Toggle,
    /// Start training, or the chosen job.
    Start,
    /// Stop training, or the chosen job.
    Stop,
    /// Let the chosen job wait, or go on.
    Pause,
    /// Close what is open.
    Close,
    /// Leave the workbench.
    Quit,
}

struct KeyBinding(Action, &'static str, &'static [&'static str], &'static str);

/// Every action: its name in `[keys]`, its default keys, and its help.
const ACTIONS: &[KeyBinding] = &[
    KeyBinding(Action::Accept, "accept", &["enter", "space"], "accept the proposal, commit, open"),
    KeyBinding(Action::None, "none", &["0"], "decide None: no category applies"),
    KeyBinding(Action::Reject, "reject", &["X"], "reject a synthetic sentence"),
    KeyBinding(Action::Edit, "edit", &["E"], "reword a synthetic sentence"),
    KeyBinding(Action::Next, "next", &["j", "down"], "next"),
    KeyBinding(Action::Previous, "previous", &["k", "up"], "previous"),
    KeyBinding(Action::Right, "right", &["l", "right"], "right in a table"),
    KeyBinding(Action::Left, "left", &["left"], "left in a table"),
    KeyBinding(Action::NextOpen, "next_open", &["n"], "next open sentence"),
    KeyBinding(Action::Undo, "undo", &["u", "ctrl-z"], "undo, without limit"),
    KeyBinding(Action::Redo, "redo", &["r", "ctrl-y"], "redo"),
    KeyBinding(Action::Skip, "skip", &["s"], "skip for now"),
    KeyBinding(Action::Flag, "flag", &["f"], "flag or unflag"),
    KeyBinding(Action::Comment, "comment", &["c"], "comment"),
    KeyBinding(Action::Search, "search", &["/"], "search and filter"),
    KeyBinding(Action::Doubts, "doubts", &["D"], "Review: labels that may be wrong, worst first"),
    KeyBinding(Action::Example, "example", &["G"], "Adjudicate: what was just settled becomes an example"),
    KeyBinding(Action::Guideline, "guideline", &["g"], "guideline: what each category means"),
    KeyBinding(Action::Help, "help", &["?"], "these keys"),
    KeyBinding(Action::Palette, "palette", &[":", "ctrl-p"], "find an action by name"),
    KeyBinding(Action::NextScreen, "next_screen", &["tab"], "next screen"),
    KeyBinding(Action::PreviousScreen, "previous_screen", &["shift-tab"], "previous screen"),
    KeyBinding(Action::Toggle, "toggle", &["v"], "next view: silver, binary, classifier, experts; runs, experiment"),
    KeyBinding(Action::Start, "start", &["S"], "Train, Jobs: start"),
    KeyBinding(Action::Stop, "stop", &["K"], "Train, Jobs: stop, keep what is done"),
    KeyBinding(Action::Pause, "pause", &["P"], "Jobs: pause or resume"),
    KeyBinding(Action::Close, "close", &["esc"], "close, clear the filter"),
    KeyBinding(Action::Quit, "quit", &["q", "ctrl-c"], "quit; everything is saved"),
];

impl Action {
    /// All actions with name and help.
    pub(crate) fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        ACTIONS.iter().map(|KeyBinding(action, name, _, help)| (*action, *name, *help))
    }
}

/// A key with its modifiers, as the user writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    code: KeyCode,
    control: bool,
}

impl Key {
    /// From what the terminal sends. Shift is in the letter itself.
    pub(crate) fn of(event: KeyEvent) -> Self {
        let control = event.modifiers.contains(KeyModifiers::CONTROL) && !event.modifiers.contains(KeyModifiers::ALT);
        let code = match event.code {
            KeyCode::Char(c) if control => KeyCode::Char(c.to_ascii_lowercase()),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            other => other,
        };
        Self { code, control }
    }

    /// Reads `enter`, `ctrl-z`, `F`, `shift-tab`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (control, name) = text.strip_prefix("ctrl-").map_or((false, text), |rest| (true, rest));
        let mut chars = name.chars();
        let code = match name {
            "enter" => KeyCode::Enter,
            "space" => KeyCode::Char(' '),
            "tab" => KeyCode::Tab,
            "shift-tab" => KeyCode::BackTab,
            "esc" => KeyCode::Esc,
            "up" => KeyCode::Up,
            "down" => KeyCode::Down,
            "left" => KeyCode::Left,
            "right" => KeyCode::Right,
            "backspace" => KeyCode::Backspace,
            "delete" => KeyCode::Delete,
            "home" => KeyCode::Home,
            "end" => KeyCode::End,
            "pageup" => KeyCode::PageUp,
            "pagedown" => KeyCode::PageDown,
            _ => match (chars.next(), chars.next()) {
                (Some(c), None) => KeyCode::Char(c),
                (Some('f'), Some(_)) => KeyCode::F(name[1..].parse().ok().filter(|n| (1..=12).contains(n))?),
                _ => return None,
            },
        };
        Some(Self { code, control })
    }

    /// The character, if the key is a plain one.
    pub(crate) fn char(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.control => Some(c),
            _ => None,
        }
    }

    /// The code.
    pub(crate) fn code(self) -> KeyCode {
        self.code
    }
}

/// The live keys.
#[derive(Clone, Debug)]
pub(crate) struct Keymap {
    keys: HashMap<Key, Action>,
    names: BTreeMap<Action, Vec<String>>,
}

impl Keymap {
    /// The defaults with the user's overrides: an action that is named has the keys given and no others. What is wrong
    /// with the overrides is said; the rest holds.
    pub(crate) fn new(overrides: &BTreeMap<String, Vec<String>>) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        for name in overrides.keys().filter(|name| !ACTIONS.iter().any(|entry| entry.1 == *name)) {
            faults.push(format!("[keys]: `{name}` is no action; `?` shows them"));
        }
        let mut map = Self { keys: HashMap::new(), names: BTreeMap::new() };
        // Overrides are bound first, so that a default never takes a key that the user gave to something else.
        let ordered = ACTIONS
            .iter()
            .filter(|e| overrides.contains_key(e.1))
            .chain(ACTIONS.iter().filter(|e| !overrides.contains_key(e.1)));
        for KeyBinding(action, name, defaults, _) in ordered {
            let wanted: Vec<String> = match overrides.get(*name) {
                Some(keys) => keys.clone(),
                None => defaults.iter().map(ToString::to_string).collect(),
            };
            for text in wanted {
                match Key::parse(&text) {
                    None => faults.push(format!("[keys] {name}: `{text}` is no key")),
                    Some(key) => match map.keys.get(&key) {
                        Some(taken) if overrides.contains_key(*name) => {
                            faults.push(format!("[keys] {name}: `{text}` already means {}", map.name(*taken)));
                        }
                        Some(_) => {}
                        None => {
                            map.keys.insert(key, *action);
                            map.names.entry(*action).or_default().push(text);
                        }
                    },
                }
            }
        }
        (map, faults)
    }

    /// The action of a key.
    pub(crate) fn action(&self, key: Key) -> Option<Action> {
        self.keys.get(&key).copied()
    }

    /// The first key of an action, for hints; empty if it has none.
    pub(crate) fn key(&self, action: Action) -> &str {
        self.names.get(&action).and_then(|names| names.first()).map_or("", String::as_str)
    }

    fn name(&self, action: Action) -> &'static str {
        ACTIONS.iter().find(|entry| entry.0 == action).map_or("", |entry| entry.1)
    }

    /// A line for each action that has a key: its keys and what it does.
    pub(crate) fn help(&self) -> Vec<(String, &'static str)> {
        ACTIONS
            .iter()
            .filter_map(|KeyBinding(action, _, _, help)| Some((self.names.get(action)?.join(", "), *help)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_key_does_what_the_help_says() {
        let (map, faults) = Keymap::new(&BTreeMap::new());
        assert_eq!(faults, Vec::<String>::new());
        for KeyBinding(action, _, keys, _) in ACTIONS {
            for key in *keys {
                assert_eq!(map.action(Key::parse(key).unwrap()), Some(*action), "{key}");
            }
        }
        assert_eq!(map.help().len(), ACTIONS.len());
    }

    #[test]
    fn the_reference_has_every_action_with_its_keys() {
        let reference = include_str!("../../docs/reference.md");
        for KeyBinding(_, name, keys, _) in ACTIONS {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!("| `{name}` | {} | ", keys.join(" "));
            assert!(reference.contains(&row), "docs/reference.md has no row {row}");
        }
    }

    #[test]
    fn users_keys_come_first_and_faults_are_named() {
        let overrides = BTreeMap::from([
            ("undo".to_owned(), vec!["j".to_owned(), "hyper-x".to_owned()]),
            ("jump".to_owned(), vec!["x".to_owned()]),
        ]);
        let (map, faults) = Keymap::new(&overrides);
        assert_eq!(map.action(Key::parse("j").unwrap()), Some(Action::Undo));
        assert_eq!(map.action(Key::parse("down").unwrap()), Some(Action::Next));
        assert_eq!(faults, ["[keys]: `jump` is no action; `?` shows them", "[keys] undo: `hyper-x` is no key"]);
    }

    #[test]
    fn terminals_spell_keys_in_their_own_ways() {
        let event = |code, modifiers| Key::of(KeyEvent::new(code, modifiers));
        assert_eq!(event(KeyCode::Char('Z'), KeyModifiers::CONTROL), Key::parse("ctrl-z").unwrap());
        assert_eq!(event(KeyCode::Tab, KeyModifiers::SHIFT), Key::parse("shift-tab").unwrap());
        assert_eq!(event(KeyCode::Char('S'), KeyModifiers::SHIFT), Key::parse("S").unwrap());
        // AltGr is Ctrl+Alt on some keyboards and types a character.
        assert_eq!(event(KeyCode::Char('@'), KeyModifiers::CONTROL | KeyModifiers::ALT).char(), Some('@'));
    }

    #[test]
    fn shortcuts_of_new_categories_are_free() {
        let (map, _) = Keymap::new(&BTreeMap::new());
        for shortcut in crate::formats::taxonomy::SHORTCUTS.chars() {
            assert_eq!(map.action(Key::parse(&shortcut.to_string()).unwrap()), None, "{shortcut}");
        }
    }

    /// No shipped taxonomy has a shortcut that is an action's key.
    #[test]
    fn shortcuts_of_shipped_taxonomies_are_free() {
        let (map, _) = Keymap::new(&BTreeMap::new());
        for (name, text) in crate::formats::taxonomy::SHIPPED {
            let taxonomy = crate::formats::taxonomy::parse(std::path::Path::new(name), text).unwrap();
            for category in taxonomy.categories() {
                let key = Key::parse(&category.shortcut.to_string()).unwrap();
                assert_eq!(map.action(key), None, "{name}: {}", category.key);
            }
        }
    }
}
