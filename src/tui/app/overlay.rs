//! Keys while something lies over the screen: it has them first.

use crossterm::event::KeyCode;

use super::{App, Overlay, Prompt, Screen};
use crate::tui::filter;
use crate::tui::keymap::{Action, Key};
use crate::tui::message::{Effect, SeekTarget};
use crate::tui::theme::StyleRole;
use crate::workflow::review::Worklist;

impl App {
    pub(super) fn overlay_key(&mut self, overlay: Overlay, key: Key, now: u64) -> Vec<Effect> {
        let action = self.shared.keymap.action(key);
        if action == Some(Action::Quit) && key.char().is_none() {
            self.quit = true;
            return Vec::new();
        }
        match overlay {
            Overlay::Help { top } => self.scroll(action, top, |top| Overlay::Help { top }),
            Overlay::Guideline { top } => self.scroll(action, top, |top| Overlay::Guideline { top }),
            Overlay::Setup => self.setup_key(action, now),
            Overlay::List { title, rows, selected } => {
                let last = rows.len().saturating_sub(1);
                let selected = match action {
                    Some(Action::Next) => (selected + 1).min(last),
                    Some(Action::Previous) => selected.saturating_sub(1),
                    Some(Action::Accept) => {
                        let (worklist, filter) = (Worklist::Review, self.worklists[Worklist::Review].filter.clone());
                        let show = |(id, _): &(_, _)| Effect::Fetch {
                            worklist,
                            target: SeekTarget::Exactly(*id),
                            filter,
                            show: true,
                        };
                        return rows.get(selected).map(show).into_iter().collect();
                    }
                    Some(Action::Close | Action::Quit) => return Vec::new(),
                    _ => selected,
                };
                self.overlay = Some(Overlay::List { title, rows, selected });
                Vec::new()
            }
            Overlay::Input { prompt, text, cursor, selected, .. } => {
                self.type_key(prompt, text, cursor, selected, key, now)
            }
        }
    }

    /// Keys in the list of what to train with; the key that opens it also starts.
    fn setup_key(&mut self, action: Option<Action>, now: u64) -> Vec<Effect> {
        let setup = &mut self.train.setup;
        let done = match action {
            Some(Action::Next) => {
                setup.step(1);
                Ok(None)
            }
            Some(Action::Previous) => {
                setup.step(-1);
                Ok(None)
            }
            Some(Action::Accept) => setup.choose(),
            Some(Action::Start) => setup.start(),
            Some(Action::Close | Action::Quit) => return Vec::new(),
            _ => Ok(None),
        };
        match done {
            Ok(Some(begin)) => return vec![self.train.start(begin, now)],
            Ok(None) => {}
            Err(why) => self.say(why, StyleRole::Warn),
        }
        self.overlay = Some(Overlay::Setup);
        Vec::new()
    }

    fn scroll(&mut self, action: Option<Action>, top: usize, make: fn(usize) -> Overlay) -> Vec<Effect> {
        let top = match action {
            Some(Action::Next) => top + 1,
            Some(Action::Previous) => top.saturating_sub(1),
            Some(Action::Accept) => top + 10,
            _ => return Vec::new(),
        };
        self.overlay = Some(make(top));
        Vec::new()
    }

    fn type_key(
        &mut self,
        prompt: Prompt,
        mut text: String,
        mut cursor: usize,
        mut selected: usize,
        key: Key,
        now: u64,
    ) -> Vec<Effect> {
        let back = text[..cursor].chars().next_back().map_or(0, char::len_utf8);
        let forth = text[cursor..].chars().next().map_or(0, char::len_utf8);
        match (key.code(), key.char()) {
            (KeyCode::Esc, _) => return Vec::new(),
            (KeyCode::Enter, _) => return self.typed(prompt, text, selected, now),
            (KeyCode::Backspace, _) => {
                text.replace_range(cursor - back..cursor, "");
                cursor -= back;
            }
            (KeyCode::Delete, _) => text.replace_range(cursor..cursor + forth, ""),
            (KeyCode::Left, _) => cursor -= back,
            (KeyCode::Right, _) => cursor += forth,
            (KeyCode::Home, _) => cursor = 0,
            (KeyCode::End, _) => cursor = text.len(),
            (KeyCode::Down, _) => selected += 1,
            (KeyCode::Up, _) => selected = selected.saturating_sub(1),
            (_, Some(c)) if !c.is_control() => {
                text.insert(cursor, c);
                cursor += c.len_utf8();
                selected = 0;
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Input { prompt, text, cursor, selected, fault: None });
        Vec::new()
    }

    fn typed(&mut self, prompt: Prompt, text: String, selected: usize, now: u64) -> Vec<Effect> {
        if prompt == Prompt::Palette {
            let found = palette(&text);
            return match found.get(selected.min(found.len().saturating_sub(1))) {
                Some((action, _)) => self.act(*action, now),
                None => Vec::new(),
            };
        }
        let worklist = if let Screen::Worklist(worklist) = self.screen { worklist } else { Worklist::Review };
        if prompt == Prompt::Search {
            let all = self.worklists[worklist].all.clone();
            return match filter::parse(&text, all, &self.shared.taxonomy, &self.shared.outdated) {
                Ok(filter) => {
                    let state = &mut self.worklists[worklist];
                    state.filter = filter;
                    state.query = text;
                    vec![state.fetch(SeekTarget::Resume)]
                }
                Err(fault) => {
                    let cursor = text.len();
                    self.overlay = Some(Overlay::Input { prompt, text, cursor, selected: 0, fault: Some(fault) });
                    Vec::new()
                }
            };
        }
        let state = &mut self.worklists[worklist];
        match prompt {
            Prompt::Comment => state.comment(text, now),
            Prompt::Reason(label) => state.settle(label, text, now),
            Prompt::Example(case, label) => vec![Effect::Example { case, label, text }],
            _ => state.reword(&text, now),
        }
    }
}

pub(super) fn input(prompt: Prompt, text: String) -> Overlay {
    Overlay::Input { prompt, cursor: text.len(), text, selected: 0, fault: None }
}

/// Actions whose name or help holds every word typed.
pub(crate) fn palette(typed: &str) -> Vec<(Action, &'static str)> {
    let words: Vec<String> = typed.to_lowercase().split_whitespace().map(str::to_owned).collect();
    Action::all()
        .filter(|(_, name, help)| words.iter().all(|w| name.contains(w.as_str()) || help.to_lowercase().contains(w)))
        .map(|(action, _, help)| (action, help))
        .collect()
}
