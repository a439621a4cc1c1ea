//! The rules, on any sources: each gives what breaks it, a line for each.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Module, Reference, Sources, Target, below};

/// A layer: what it may use of ours, and of other crates, with spaces between.
pub struct Layer {
    pub name: &'static str,
    pub uses: &'static str,
    pub crates: &'static str,
}

/// What layers use beyond the table and the crates that are everyone's, and what the table allows and nobody uses.
pub fn layers(sources: &Sources, table: &[Layer], everyones: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let mut crossings = BTreeMap::new();
    for reference in &sources.references {
        let Some(layer) = reference.from.first() else { continue };
        let Some(row) = table.iter().find(|row| row.name == layer) else {
            wrong.push(format!("{} belongs to no layer", reference.file));
            continue;
        };
        let (name, allowed) = match &reference.named {
            Target::Ours { module, .. } => match module.first() {
                Some(other) if other != layer => (other, row.uses),
                _ => continue,
            },
            Target::Crate(name) if everyones.split(' ').any(|krate| krate == name) => continue,
            Target::Crate(name) => (name, row.crates),
        };
        used.insert((row.name, name.as_str()));
        if !allowed.split(' ').any(|allowed| allowed == name) {
            crossings.entry((&reference.file, name)).or_insert(reference.line);
        }
    }
    wrong.extend(crossings.into_iter().map(|((file, name), line)| format!("{file}:{line} uses {name}")));
    for row in table {
        let allowed = row.uses.split(' ').chain(row.crates.split(' ')).filter(|name| !name.is_empty());
        for allowed in allowed.filter(|allowed| !used.contains(&(row.name, *allowed))) {
            wrong.push(format!("the table lets {} use {allowed}, which it does not", row.name));
        }
    }
    wrong
}

/// Modules that use each other in a circle, and a way around it.
#[derive(Debug)]
pub struct Circle {
    pub modules: BTreeSet<String>,
    pub way: String,
}

/// The circles among modules that stand side by side, each taken with all that is below it.
///
/// A module and what is below it count as one house: the lower may use what the upper defines, and the upper what the
/// lower does. A name that a module hands on with `pub use` counts for the file that defines it.
pub fn circles(sources: &Sources) -> Vec<Circle> {
    type Edges<'s> = BTreeMap<String, BTreeMap<String, &'s Reference>>;
    let mut levels: BTreeMap<Module, Edges> = BTreeMap::new();
    for reference in &sources.references {
        let Target::Ours { module: to, item: Some(_) } = &reference.to else { continue };
        let shared = reference.from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(from), Some(to)) = (reference.from.get(shared), to.get(shared)) {
            let edges = levels.entry(reference.from[..shared].to_vec()).or_default();
            edges.entry(from.clone()).or_default().entry(to.clone()).or_insert(reference);
        }
    }
    let mut found = Vec::new();
    for (level, edges) in &levels {
        let mut left: BTreeSet<&String> = edges.keys().collect();
        while let Some(start) = left.pop_first() {
            let Some(way) = way_back(edges, start) else { continue };
            // What can be reached from here and reaches here.
            let circle: BTreeSet<&String> =
                edges.keys().filter(|other| reaches(edges, start, other) && reaches(edges, other, start)).collect();
            left.retain(|other| !circle.contains(other));
            let name = |module: &str| below(level, module).join("::");
            let mut text = name(start);
            for (from, to) in way.iter().zip(&way[1..]) {
                let said = edges[*from][*to];
                let Target::Ours { item: Some(item), .. } = &said.to else { continue };
                text.push_str(&format!("\n    -> {} ({}:{} names {item})", name(to), said.file, said.line));
            }
            found.push(Circle { modules: circle.into_iter().map(|module| name(module)).collect(), way: text });
        }
    }
    found
}

fn reaches<T>(edges: &BTreeMap<String, BTreeMap<String, T>>, from: &str, to: &str) -> bool {
    way(edges, from, to).is_some()
}

fn way_back<'e, T>(edges: &'e BTreeMap<String, BTreeMap<String, T>>, start: &'e str) -> Option<Vec<&'e str>> {
    way(edges, start, start)
}

/// The shortest way along the edges, of at least one.
fn way<'e, T>(edges: &'e BTreeMap<String, BTreeMap<String, T>>, from: &'e str, to: &'e str) -> Option<Vec<&'e str>> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in edges.get(way[way.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
                let way = [&way[..], &[next.as_str()]].concat();
                if next == to {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// Files that do not say what they are, or leave something to do, and files that no module declares.
pub fn said(sources: &Sources) -> Vec<String> {
    let mut wrong: Vec<String> =
        sources.orphans.iter().map(|path| format!("{path} is declared by no module")).collect();
    for file in &sources.files {
        if !file.source.starts_with("//!") {
            wrong.push(format!("{} does not say what it is", file.path));
        }
        for mark in ["TODO", "FIXME"] {
            if file.source.contains(mark) {
                wrong.push(format!("{} has {mark}", file.path));
            }
        }
    }
    wrong
}

/// Types that other modules use and that say nothing of themselves. Arguments of the command line are documented by their
/// fields, and what stands in for a room that is left out by what it stands in for.
pub fn types_without_docs(sources: &Sources, except: &[&str]) -> Vec<String> {
    let excepted = |path: &str| except.iter().any(|part| path.contains(part));
    let mut wrong = Vec::new();
    for file in sources.files.iter().filter(|file| !file.is_test && !excepted(&file.path)) {
        let Ok(parsed) = syn::parse_file(&file.program) else { continue };
        for item in &parsed.items {
            let (attributes, visibility, name) = match item {
                syn::Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
                syn::Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
                syn::Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
                _ => continue,
            };
            let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
            if !documented && !matches!(visibility, syn::Visibility::Inherited) {
                wrong.push(format!("{}: {name} does not say what it is", file.path));
            }
        }
    }
    wrong
}

/// Program code that speaks of a disease: categories are a file.
pub fn diseases(sources: &Sources, except: &[&str]) -> Vec<String> {
    let files = sources.files.iter().filter(|file| !file.is_test && !except.contains(&file.path.as_str()));
    files
        .flat_map(|file| {
            let text = file.program.to_lowercase();
            let words = ["alzheimer", "dementia", "cognitive_", "neuropsych"].into_iter();
            words.filter(move |word| text.contains(word)).map(|word| format!("{} speaks of {word}", file.path))
        })
        .collect()
}
