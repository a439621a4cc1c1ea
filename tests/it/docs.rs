//! Holds the documentation to the program: commands, settings, keys, links, tables and names that it shows are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser;
use goldsmith::cli::Cli;
use goldsmith::formats::{project, simulation, taxonomy};

use super::layers::{LAYERS, PURE};
use super::support::succeeds;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the documentation.
struct Page {
    /// Below the repository.
    name: String,
    text: String,
}

/// Text between fences, or indented by four spaces, with what stands behind the opening fence.
struct Block {
    kind: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let mut names: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned).into();
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "CHANGELOG.md" {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.into_iter().map(|name| Page { text: std::fs::read_to_string(root().join(&name)).unwrap(), name }).collect()
}

impl Page {
    /// The blocks, and the lines outside them with their numbers.
    fn parts(&self) -> (Vec<Block>, Vec<(usize, &str)>) {
        let (mut blocks, mut prose) = (Vec::new(), Vec::new());
        let mut open: Option<Block> = None;
        let mut indented: Option<Block> = None;
        for (number, line) in self.text.lines().enumerate() {
            if let Some(kind) = line.strip_prefix("```") {
                match open.take() {
                    Some(block) => blocks.push(block),
                    None => open = Some(Block { kind: kind.to_owned(), text: String::new() }),
                }
            } else if let Some(block) = &mut open {
                block.text.push_str(line);
                block.text.push('\n');
            } else if let Some(code) = line.strip_prefix("    ") {
                let block = indented.get_or_insert_with(|| Block { kind: String::new(), text: String::new() });
                block.text.push_str(code);
                block.text.push('\n');
            } else {
                blocks.extend(indented.take());
                prose.push((number + 1, line));
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name);
        blocks.extend(indented);
        (blocks, prose)
    }

    /// Everything between backticks outside blocks.
    fn spans(&self) -> Vec<(usize, String)> {
        let mut spans = Vec::new();
        // A span may run over the end of a line.
        let (_, prose) = self.parts();
        let mut open: Option<(usize, String)> = None;
        for (number, line) in prose {
            if line.is_empty() {
                open = None;
            }
            for (i, part) in line.split('`').enumerate() {
                match (&mut open, i) {
                    (Some((_, text)), 0) => {
                        text.push(' ');
                        text.push_str(part);
                    }
                    (None, 0) => {}
                    (Some(_), _) => spans.extend(open.take()),
                    (None, _) => open = Some((number, part.to_owned())),
                }
            }
        }
        spans
    }

    /// The rows of all tables below a heading, up to the next heading of any level, without header and rule.
    fn tables(&self) -> BTreeMap<String, Vec<Vec<String>>> {
        let mut heading = String::new();
        let mut tables: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        let mut header = true;
        for (_, line) in self.parts().1 {
            if line.starts_with('#') {
                heading = line.trim_start_matches('#').trim().to_owned();
            }
            let Some(row) = line.strip_prefix('|') else {
                header = true;
                continue;
            };
            if row.starts_with("---") {
                header = false;
            } else if !header {
                let cells = row.trim_end().trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned());
                tables.entry(heading.clone()).or_default().push(cells.collect());
            }
        }
        tables
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.parts().1.into_iter().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c)).collect::<String>().replace(' ', "-")
}

/// The commands of `goldsmith` in a line of shell, comments and redirections left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let mut found = Vec::new();
    for part in line.split("&&").flat_map(|part| part.split('|')) {
        let words: Vec<&str> = part.split_whitespace().take_while(|word| !word.starts_with('>')).collect();
        let Some(at) = words.iter().position(|word| *word == "goldsmith") else {
            continue;
        };
        let before = &words[..at];
        if before.is_empty() || before.iter().all(|word| word.contains('=')) {
            found.push(words[at..].iter().map(|word| word.trim_matches('"').to_owned()).collect());
        }
    }
    found
}

/// Whether the command line is one that the program takes.
fn parses(words: &[String]) -> Result<(), String> {
    match Cli::try_parse_from(words) {
        Ok(_) => Ok(()),
        // Help that was asked for.
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
    }
}

#[test]
fn every_command_shown_is_one_that_parses() {
    let (mut shown, mut wrong) = (0, Vec::new());
    for page in pages() {
        let (blocks, _) = page.parts();
        let shell = blocks.iter().filter(|block| block.kind.is_empty() || block.kind == "sh");
        let lines = shell.flat_map(|block| block.text.lines().map(|line| (line.to_owned(), true)));
        let spans = page.spans().into_iter().map(|(_, span)| (span, false));
        for (line, whole) in lines.chain(spans.filter(|(span, _)| span.starts_with("goldsmith "))) {
            for words in commands(&line).into_iter().filter(|words| words.get(1).is_none_or(|verb| verb != "VERB")) {
                shown += 1;
                // In a sentence, as in "`goldsmith export model` writes a folder", a command need not be whole.
                let found = parses(&words).or_else(|error| {
                    let named = !whole && parses(&[&words[..], &["x".to_owned()]].concat()).is_ok();
                    if named { Ok(()) } else { Err(error) }
                });
                if let Err(error) = found {
                    wrong.push(format!("{}: {}: {error}", page.name, words.join(" ")));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(shown > 60, "only {shown} commands were found");
}

#[test]
fn a_command_that_is_none_is_found() {
    assert_eq!(commands("cd study && goldsmith train --epochs 3 # x").len(), 1);
    assert_eq!(commands("goldsmith train && goldsmith score > x").len(), 2);
    assert_eq!(commands("/tmp/goldsmith.db goldsmith").len(), 0);
    let words = |line: &str| commands(line).remove(0);
    assert!(parses(&words("goldsmith export gold --votes > gold.jsonl")).is_ok());
    assert!(parses(&words("goldsmith export silver")).is_err());
    assert!(parses(&words("goldsmith train --method forest")).is_err());
    assert!(parses(&words("goldsmith metrics --jsn")).is_err());
}

/// What a block of TOML is, as the word behind `toml` says.
fn check(kind: &str, text: &str) -> Result<(), String> {
    let path = Path::new(kind);
    match kind {
        "goldsmith.toml" => project::parse(path, text).map(drop),
        "taxonomy.toml" => taxonomy::parse(path, text).map(drop),
        "experts.toml" => simulation::parse(path, text, &[]).map(drop),
        _ => return Err(format!("`{kind}` is no file whose settings are known")),
    }
    .map_err(|error| error.to_string())
}

#[test]
fn every_setting_shown_is_one_that_is_known() {
    let (mut shown, mut wrong) = (0, Vec::new());
    for page in pages() {
        for block in page.parts().0 {
            let Some(kind) = block.kind.strip_prefix("toml") else {
                continue;
            };
            shown += 1;
            if let Err(error) = check(kind.trim(), &block.text) {
                wrong.push(format!("{}: {error}", page.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(shown >= 4, "only {shown} blocks of TOML were found");
    assert!(check("goldsmith.toml", "[review]\nblid = \"test\"\n").is_err());
}

/// Settings by table as the template has them, also those that are commented out; a default where one is in force.
fn template() -> BTreeMap<String, BTreeMap<String, Option<String>>> {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    succeeds(&["init", study.to_str().unwrap()]);
    let text = std::fs::read_to_string(study.join("goldsmith.toml")).unwrap();
    let mut table = String::new();
    let mut settings: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for line in text.lines() {
        let (line, in_force) = line.strip_prefix("# ").map_or((line, true), |line| (line, false));
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = if name.starts_with("models.") { "models.NAME".to_owned() } else { name.to_owned() };
        } else if let Some((key, value)) = line.split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            let value = in_force.then(|| value.split("   #").next().unwrap_or_default().trim().to_owned());
            settings.entry(table.clone()).or_default().insert(key.to_owned(), value);
        }
    }
    // Examples of keys; the actions are checked by themselves.
    settings.remove("keys");
    settings
}

#[test]
fn the_reference_has_every_setting_with_its_default() {
    let page = pages().into_iter().find(|page| page.name == "docs/reference.md").unwrap();
    let tables = page.tables();
    let mut wrong = Vec::new();
    let known = template();
    for (table, settings) in &known {
        let heading = if table.is_empty() { "Settings: goldsmith.toml".to_owned() } else { format!("[{table}]") };
        let rows = tables.get(&heading).unwrap_or_else(|| panic!("the reference has no {heading}"));
        let name = |row: &[String]| row[0].trim_matches('`').to_owned();
        let shown: BTreeSet<String> = rows.iter().map(|row| name(row)).collect();
        let there: BTreeSet<String> = settings.keys().cloned().collect();
        wrong.extend(shown.symmetric_difference(&there).map(|key| format!("{heading} {key}")));
        for row in rows {
            if let Some(Some(default)) = settings.get(&name(row))
                && row[1].trim_matches('`') != default
            {
                wrong.push(format!("{heading} {}: {} is {default}", name(row), row[1]));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(known.values().map(BTreeMap::len).sum::<usize>() > 70, "the template was not read");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let (mut shown, mut wrong) = (0, Vec::new());
    for page in &pages {
        let folder = root().join(&page.name).parent().map(Path::to_path_buf).unwrap();
        let prose: Vec<&str> = page.parts().1.into_iter().map(|(_, line)| line).collect();
        let prose = prose.join("\n");
        for target in prose.match_indices("](").filter_map(|(at, _)| prose[at + 2..].split(')').next()) {
            if target.contains("://") {
                continue;
            }
            shown += 1;
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let path = if file.is_empty() { root().join(&page.name) } else { folder.join(file) };
            let Ok(path) = path.canonicalize() else {
                wrong.push(format!("{}: {target} is not there", page.name));
                continue;
            };
            let of = |page: &&Page| root().join(&page.name).canonicalize().unwrap() == path;
            if let Some(heading) = heading
                && !pages.iter().find(of).is_some_and(|page| page.anchors().contains(heading))
            {
                wrong.push(format!("{}: {target} has no such heading", page.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(shown > 25, "only {shown} links were found");
}

#[test]
fn the_readme_is_short_and_no_line_is_wide() {
    let pages = pages();
    let readme = pages.iter().find(|page| page.name == "README.md").unwrap();
    let lines = readme.text.lines().count();
    assert!(lines <= 120, "the README has {lines} lines");
    for page in &pages {
        for (number, line) in page.parts().1 {
            let wide = line.chars().count() > 120 && !line.starts_with('|');
            assert!(!wide, "{}:{number} is {} wide", page.name, line.chars().count());
        }
    }
}

#[test]
fn the_layer_table_is_the_one_that_the_sources_are_held_to() {
    let page = pages().into_iter().find(|page| page.name == "ARCHITECTURE.md").unwrap();
    let quoted = |names: &str| names.split_whitespace().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut held: Vec<Vec<String>> = LAYERS
        .iter()
        .map(|layer| vec![format!("`{}`", layer.name), quoted(layer.uses), quoted(layer.crates)])
        .collect();
    held.push(vec!["all of them".to_owned(), String::new(), quoted(PURE)]);
    assert_eq!(page.tables()["Layers"], held);
}

fn every_source(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            every_source(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_and_tests_that_are_named_are_there() {
    let mut files = Vec::new();
    every_source(&root().join("src"), &mut files);
    every_source(&root().join("tests"), &mut files);
    let sources: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let (mut shown, mut wrong) = (0, Vec::new());
    for page in pages().iter().filter(|page| !page.name.starts_with("docs/")) {
        for (number, span) in page.spans() {
            let is_path = span.contains('/') && [".rs", ".py", "/"].iter().any(|end| span.ends_with(end));
            let placeholder = span.chars().any(|c| c.is_ascii_uppercase());
            if is_path && !placeholder {
                shown += 1;
                if !root().join(&span).exists() && !root().join("src").join(&span).exists() {
                    wrong.push(format!("{}:{number}: {span} is not there", page.name));
                }
            }
        }
        for (number, span) in page.spans() {
            let name = span.split("::").next().unwrap_or_default();
            let is_ours = name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.starts_with("GOLDSMITH");
            if is_ours && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                shown += 1;
                let defined = ["struct", "enum", "trait", "type", "const"].iter().any(|what| {
                    sources.match_indices(&format!("{what} {name}")).any(|(at, found)| {
                        !sources[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                    })
                });
                if !defined {
                    wrong.push(format!("{}:{number}: {name} is defined nowhere", page.name));
                }
            }
        }
        let tables = page.tables();
        for (heading, column) in [("Invariants", 1), ("What holds", 3)] {
            for row in tables.get(heading).into_iter().flatten() {
                for test in row[column].split(", ").map(|test| test.trim_matches('`')) {
                    shown += 1;
                    if !sources.contains(&format!("fn {test}(")) {
                        wrong.push(format!("{}: there is no test {test}", page.name));
                    }
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(shown > 60, "only {shown} names were found");
}
