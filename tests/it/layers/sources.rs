//! The program's sources as the compiler reads them: modules, what each `use` and path means, which code is a test.
//!
//! What has no name in the text is not seen: a method that is called on a value, a field of a type from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// Where a module stands below the crate: `["domain", "label"]`.
pub type Module = Vec<String>;

/// The module or item of this name in a module.
pub fn below(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

pub struct File {
    /// Below `src`, with `/`.
    pub path: String,
    pub module: Module,
    /// Whether all of it is there only for tests, as the `mod` that declares it says.
    pub is_test: bool,
    pub source: String,
    /// The source with every test item blanked out, so that lines and columns stay.
    pub program: String,
}

/// A name in program code that means something of ours, or another crate.
#[derive(Debug, PartialEq)]
pub struct Reference {
    pub from: Module,
    pub file: String,
    pub line: usize,
    /// Where it is defined.
    pub to: Target,
    /// Where its path leads: a room may hand on what another defines.
    pub named: Target,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A module, or an item in it.
    Ours { module: Module, item: Option<String> },
    /// Another crate.
    Crate(String),
}

pub struct Sources {
    pub files: Vec<File>,
    pub references: Vec<Reference>,
    /// Files that no `mod` declares.
    pub orphans: Vec<String>,
}

/// What one module names.
#[derive(Default)]
struct Scope {
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    /// Names that a `use` brings in, each with every path that it stands for in this module.
    aliases: BTreeMap<String, Vec<Vec<String>>>,
    globs: Vec<Vec<String>>,
}

impl Sources {
    /// Reads a crate from its files, by their paths below `src`; `crates` are the names of its dependencies.
    pub fn read(texts: &BTreeMap<String, String>, crates: &BTreeSet<String>) -> Self {
        let mut files = Vec::new();
        for (root, module) in [("lib.rs", Vec::new()), ("main.rs", vec!["main".to_owned()])] {
            if texts.contains_key(root) {
                add(texts, root, module, false, &mut files);
            }
        }
        let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let orphans = texts.keys().filter(|path| !known.contains(path.as_str())).cloned().collect();
        let mut scopes = BTreeMap::new();
        let mut said = Vec::new();
        for file in files.iter().filter(|file| !file.is_test) {
            let mut reader =
                Reader { file: &file.path, module: file.module.clone(), scopes: &mut scopes, said: &mut said };
            reader.enter();
            reader.visit_file(&parse(&file.path, &file.program));
        }
        let references = said
            .into_iter()
            .filter_map(|said| {
                let names = Names { scopes: &scopes, crates, only: None };
                let mut to = names.resolve(&said.module, &said.path, 0)?;
                if let (true, Target::Ours { item: item @ None, .. }) = (said.glob, &mut to) {
                    *item = Some("*".to_owned());
                }
                let named = Names { only: said.module.first(), ..names }.resolve(&said.module, &said.path, 0)?;
                Some(Reference { from: said.module, file: said.file, line: said.line, to, named })
            })
            .collect();
        Self { files, references, orphans }
    }
}

/// Adds a file and those that its `mod` items declare.
fn add(texts: &BTreeMap<String, String>, path: &str, module: Module, is_test: bool, files: &mut Vec<File>) {
    let source = &texts[path];
    let tree = parse(path, source);
    let mut tests = Tests::default();
    tests.visit_file(&tree);
    let is_test = is_test || tree.attrs.iter().any(only_for_tests);
    let mut program = source.clone().into_bytes();
    for range in &tests.ranges {
        for byte in program[range.clone()].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    let program = String::from_utf8(program).unwrap();
    files.push(File { path: path.to_owned(), module: module.clone(), is_test, source: source.clone(), program });
    let mut declared = Vec::new();
    declarations(&tree.items, &module, is_test, &mut declared);
    for (child, is_test) in declared {
        let path = format!("{}.rs", child.join("/"));
        assert!(texts.contains_key(&path), "{path} is declared and not there");
        add(texts, &path, child, is_test, files);
    }
}

/// The modules in other files that these items declare, each with whether it is there only for tests.
fn declarations(items: &[Item], module: &Module, is_test: bool, found: &mut Vec<(Module, bool)>) {
    for item in items {
        if let Item::Mod(item) = item {
            let is_test = is_test || item.attrs.iter().any(only_for_tests);
            let child = below(module, &item.ident.to_string());
            match &item.content {
                Some((_, items)) => declarations(items, &child, is_test, found),
                None => found.push((child, is_test)),
            }
        }
    }
}

fn parse(path: &str, source: &str) -> syn::File {
    syn::parse_file(source).unwrap_or_else(|error| panic!("{path}:{}: {error}", error.span().start().line))
}

/// `#[cfg(test)]`, and `test` as one of several conditions, but not `not(test)`.
fn only_for_tests(attribute: &Attribute) -> bool {
    fn says_test(tokens: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        tokens.iter().enumerate().any(|(at, token)| match token {
            TokenTree::Ident(ident) => ident == "test",
            TokenTree::Group(group) => {
                let negated = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(ident) if ident == "not");
                !negated && says_test(group.stream())
            }
            _ => false,
        })
    }
    attribute.path().is_ident("cfg")
        && matches!(&attribute.meta, syn::Meta::List(list) if says_test(list.tokens.clone()))
}

/// Where the test code of a file stands.
#[derive(Default)]
struct Tests {
    ranges: Vec<Range<usize>>,
}

/// Visits each node that can carry an attribute: notes where it stands if it is only for tests, or else looks inside.
macro_rules! note_tests {
    ($($visit:ident($node:ident)),* $(,)?) => {
        impl<'a> Visit<'a> for Tests {
            $(fn $visit(&mut self, node: &'a syn::$node) {
                if node.attrs.iter().any(only_for_tests) {
                    self.ranges.push(node.span().byte_range());
                } else {
                    visit::$visit(self, node);
                }
            })*
        }
    };
}

note_tests!(
    visit_item_const(ItemConst),
    visit_item_enum(ItemEnum),
    visit_item_fn(ItemFn),
    visit_item_impl(ItemImpl),
    visit_item_macro(ItemMacro),
    visit_item_mod(ItemMod),
    visit_item_static(ItemStatic),
    visit_item_struct(ItemStruct),
    visit_item_trait(ItemTrait),
    visit_item_type(ItemType),
    visit_item_use(ItemUse),
    visit_impl_item_const(ImplItemConst),
    visit_impl_item_fn(ImplItemFn),
    visit_impl_item_type(ImplItemType),
    visit_trait_item_fn(TraitItemFn),
    visit_local(Local),
);

/// A path as it stands in the text.
struct Said {
    file: String,
    module: Module,
    line: usize,
    path: Vec<String>,
    glob: bool,
}

/// Collects what a file's modules name and say.
struct Reader<'s> {
    file: &'s str,
    module: Module,
    scopes: &'s mut BTreeMap<Module, Scope>,
    said: &'s mut Vec<Said>,
}

impl Reader<'_> {
    /// Makes the module known, to itself and to the one above.
    fn enter(&mut self) {
        self.scopes.entry(self.module.clone()).or_default();
        if let [above @ .., name] = &self.module[..] {
            self.scopes.entry(above.to_vec()).or_default().children.insert(name.clone());
        }
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.entry(self.module.clone()).or_default()
    }

    fn say(&mut self, path: Vec<String>, line: usize, glob: bool) {
        self.said.push(Said { file: self.file.to_owned(), module: self.module.clone(), line, path, glob });
    }

    fn bring_in(&mut self, tree: &UseTree, before: &[String], line: usize) {
        match tree {
            UseTree::Path(path) => {
                self.bring_in(&path.tree, &below(before, &path.ident.to_string()), line);
            }
            UseTree::Name(name) if name.ident == "self" => self.name_in(before.last().cloned(), before, line),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.name_in(Some(name.clone()), &below(before, &name), line);
            }
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.name_in(Some(rename.rename.to_string()), before, line);
            }
            UseTree::Rename(rename) => {
                let path = below(before, &rename.ident.to_string());
                self.name_in(Some(rename.rename.to_string()), &path, line);
            }
            UseTree::Glob(_) => {
                self.scope().globs.push(before.to_vec());
                self.say(before.to_vec(), line, true);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.bring_in(tree, before, tree.span().start().line);
                }
            }
        }
    }

    fn name_in(&mut self, name: Option<String>, path: &[String], line: usize) {
        if let Some(name) = name {
            self.scope().aliases.entry(name).or_default().push(path.to_vec());
        }
        self.say(path.to_vec(), line, false);
    }

    /// The paths in tokens that are not parsed: the inside of a macro's call or of an attribute.
    fn tokens(&mut self, tokens: TokenStream) {
        for (path, line) in paths(tokens) {
            self.say(path, line, false);
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(name) = name {
            let name = name.to_string();
            self.scope().items.insert(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.module.push(item.ident.to_string());
        self.enter();
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.bring_in(&item.tree, &[], item.span().start().line);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            let line = path.span().start().line;
            self.say(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), line, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'a syn::MetaList) {
        self.tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

/// Each `a::b` in tokens, with its line.
fn paths(tokens: TokenStream) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut line = 0;
    let mut colons = 0;
    let mut end = |path: &mut Vec<String>, line| {
        let path = std::mem::take(path);
        if path.len() > 1 {
            found.push((path, line));
        }
    };
    let mut inner = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path, line);
                }
                if path.is_empty() {
                    line = ident.span().start().line;
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            other => {
                end(&mut path, line);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    inner.extend(paths(group.stream()));
                }
            }
        }
    }
    end(&mut path, line);
    found.extend(inner);
    found
}

/// Finds out what a path means.
struct Names<'s> {
    scopes: &'s BTreeMap<Module, Scope>,
    crates: &'s BTreeSet<String>,
    /// The room whose `use` items are followed, if not those of all.
    only: Option<&'s String>,
}

impl Names<'_> {
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        // A name that stands for itself (`use toml;`) is followed no further.
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            // The binary names the library as any other crate would.
            "crate" | "goldsmith" => Some(self.walk(&[], rest, depth)),
            "self" => Some(self.walk(module, rest, depth)),
            "super" => {
                let (_, above) = module.split_last()?;
                match rest.first() {
                    Some(next) if next == "super" => self.resolve(above, rest, depth + 1),
                    _ => Some(self.walk(above, rest, depth)),
                }
            }
            _ => self
                .find(module, path, depth)
                .or_else(|| self.crates.contains(first).then(|| Target::Crate(first.clone()))),
        }
    }

    /// Follows a path down from a module; what no module below it has is an item of the last one.
    fn walk(&self, module: &[String], path: &[String], depth: usize) -> Target {
        self.find(module, path, depth)
            .unwrap_or_else(|| Target::Ours { module: module.to_vec(), item: path.first().cloned() })
    }

    fn find(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        let scope = self.scopes.get(module)?;
        let Some((first, rest)) = path.split_first() else {
            return Some(Target::Ours { module: module.to_vec(), item: None });
        };
        if scope.children.contains(first) {
            return Some(self.walk(&below(module, first), rest, depth));
        }
        let follow = self.only.is_none() || self.only == module.first();
        let aliased = scope.aliases.get(first).into_iter().flatten().filter(|_| follow).find_map(|alias| {
            let to_itself = alias.len() == 1 && alias[0] == *first;
            (!to_itself).then(|| self.resolve(module, &[alias, rest].concat(), depth + 1))?
        });
        if aliased.is_some() {
            return aliased;
        }
        if scope.items.contains(first) {
            return Some(Target::Ours { module: module.to_vec(), item: Some(first.clone()) });
        }
        scope.globs.iter().find_map(|glob| match self.resolve(module, glob, depth + 1)? {
            Target::Ours { module: other, item: None } if other != module => self.find(&other, path, depth + 1),
            _ => None,
        })
    }
}
