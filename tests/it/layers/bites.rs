//! Each rule bites: small sources that break it, and their like that do not.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Layer, circles, diseases, layers, said};
use super::sources::{Sources, Target};

/// A crate of these files; it depends on `serde` and `rand`.
fn sources(files: &[(&str, &str)]) -> Sources {
    let texts: BTreeMap<String, String> = files.iter().map(|&(path, text)| (path.into(), text.into())).collect();
    Sources::read(&texts, &BTreeSet::from(["serde".into(), "rand".into()]))
}

const TABLE: &[Layer] =
    &[Layer { name: "low", uses: "", crates: "serde" }, Layer { name: "high", uses: "low", crates: "" }];

/// What is wrong with these texts of two layers, of which the high one may use the low one, and that one serde.
fn wrong(low: &str, high: &str) -> Vec<String> {
    let low = format!("use serde::Serialize;\n{low}");
    let high = format!("use crate::low::Low;\n{high}");
    let files = [("lib.rs", "pub mod low; pub mod high;"), ("low.rs", low.as_str()), ("high.rs", high.as_str())];
    layers(&sources(&files), TABLE, "rand")
}

#[test]
fn a_layer_that_uses_one_above_it_is_found_however_it_is_written() {
    assert_eq!(wrong("", ""), [""; 0]);
    let crossing = [
        "use crate::high::High;",
        "use crate::{high::High, low};",
        "use super::high as other;",
        "use {crate::{self as all, high::{self, deep::Deep}}};",
        "fn f() { crate::high::go(); }",
        "fn f() { super::high::go(); }",
        "fn f() { use super::*; high::go(); }",
        "fn f(x: &crate::high::High) {}",
        "impl Into<crate::high::High> for u8 {}",
        "fn f() { matches!(1, crate::high::ONE) }",
        "fn f() { format!(\"{}\", vec![Some(crate::high::go())]) }",
        "#[derive(crate::high::Derived)] struct S;",
        "#[cfg(not(test))] use crate::high::High;",
        "#[cfg(test)] mod tests {} mod after { use crate::high::High; }",
        "#[cfg(test)] mod tests {} fn after() { crate::high::go() }",
    ];
    for text in crossing {
        let wrong = wrong(text, "");
        assert!(!wrong.is_empty() && wrong.iter().all(|line| line == "low.rs:2 uses high"), "{text}: {wrong:?}");
    }
    let fine = [
        "#[cfg(test)] use crate::high::High;",
        "#[cfg(test)] mod tests { use crate::high::High; }",
        "#[cfg(all(test, unix))] fn f() { crate::high::go() }",
        "impl Low { #[cfg(test)] fn f() { crate::high::go() } }",
        "fn f() { #[cfg(test)] let x = crate::high::ONE; }",
        "// crate::high::High\nfn f() { \"crate::high::High\"; }",
        "mod high { pub fn go() {} } fn f() { high::go() }",
    ];
    for text in fine {
        assert_eq!(wrong(text, ""), [""; 0], "{text}");
    }
}

#[test]
fn a_crate_outside_its_layer_is_found() {
    let foreign = [
        "use serde::Serialize;",
        "use ::serde::Serialize;",
        "use {low::Low, serde as other}; use crate::low;",
        "#[derive(serde::Serialize)] struct S;",
        "fn f() -> serde::Value {}",
        "mod inner { fn f() { vec![serde::to_value(1)] } }",
    ];
    for text in foreign {
        assert_eq!(wrong("", text), ["high.rs:2 uses serde"], "{text}");
    }
    assert_eq!(wrong("", "use rand::Rng;"), [""; 0]);
    // Something of ours that is called the same.
    assert_eq!(
        wrong("", "mod serde { pub fn go() {} } fn f() { serde::go(); self::serde::go(); crate::low::serde::go() }"),
        [""; 0]
    );
}

#[test]
fn a_table_that_allows_what_nobody_uses_is_found() {
    let files = [
        ("lib.rs", "mod low; mod high; mod other;"),
        ("low.rs", ""),
        ("high.rs", ""),
        ("other.rs", "use crate::low::Low;"),
    ];
    let wrong = layers(&sources(&files), TABLE, "rand");
    assert_eq!(
        wrong,
        [
            "other.rs belongs to no layer",
            "the table lets low use serde, which it does not",
            "the table lets high use low, which it does not",
        ]
    );
}

#[test]
fn what_a_layer_hands_on_is_its_own_to_those_above() {
    let files = [
        ("lib.rs", "mod base; mod low; mod high;"),
        ("base.rs", "pub struct Base;"),
        ("low.rs", "pub use crate::base::Base; use serde::Serialize;"),
        ("high.rs", "use crate::low::Base;"),
    ];
    let table = [
        Layer { name: "base", uses: "", crates: "" },
        Layer { name: "low", uses: "base", crates: "serde" },
        Layer { name: "high", uses: "low", crates: "" },
    ];
    assert_eq!(layers(&sources(&files), &table, "rand"), [""; 0]);
}

/// A room `r` with files `a`, `b` and `c`, and `below` beneath `a`.
fn room(r: &str, a: &str, below: &str, b: &str, c: &str) -> Vec<String> {
    let r = format!("mod a; mod b; mod c; {r}");
    let a = format!("mod below; {a}");
    let files = [
        ("lib.rs", "mod r;"),
        ("r.rs", r.as_str()),
        ("r/a.rs", a.as_str()),
        ("r/a/below.rs", below),
        ("r/b.rs", b),
        ("r/c.rs", c),
    ];
    circles(&sources(&files)).into_iter().map(|circle| circle.way).collect()
}

#[test]
fn files_that_use_each_other_in_a_circle_are_found_with_the_way() {
    assert_eq!(room("", "use super::b::B;", "", "use super::c::C;", "pub struct C;"), [""; 0]);
    assert_eq!(
        room("", "use super::b::B;", "", "use crate::r::c::C;\n", "\nfn f() { super::a::go() }"),
        ["r::a\n    -> r::b (r/a.rs:1 names B)\n    -> r::c (r/b.rs:1 names C)\n    -> r::a (r/c.rs:2 names go)"]
    );
    // By way of a file below, by a glob, and by a module's name.
    assert_eq!(room("", "", "use crate::r::b::B;", "use super::a::A;", "").len(), 1);
    assert_eq!(room("", "use super::b::*;", "", "use super::a::A;", "").len(), 1);
    assert_eq!(room("", "use super::b; fn f() { b::go() }", "", "use super::a::A;", "").len(), 1);
    // Two circles are two.
    let files = [
        ("lib.rs", "mod r;"),
        ("r.rs", "mod a; mod b; mod c; mod d;"),
        ("r/a.rs", "use super::b::B;"),
        ("r/b.rs", "use super::{a::A, c::C};"),
        ("r/c.rs", "use super::d::D;"),
        ("r/d.rs", "use super::c::C;"),
    ];
    let found: Vec<_> = circles(&sources(&files)).into_iter().map(|circle| circle.modules).collect();
    assert_eq!(found, [BTreeSet::from(["r::a".into(), "r::b".into()]), BTreeSet::from(["r::c".into(), "r::d".into()])]);
}

#[test]
fn a_module_and_what_is_below_it_are_one_house() {
    // The room's own file and its files; a file and the one below it.
    assert_eq!(room("use a::A; pub struct R;", "use super::R;", "", "use super::R;", ""), [""; 0]);
    assert_eq!(room("", "use below::B; pub struct A;", "use super::A; pub struct B;", "", ""), [""; 0]);
    // Names that are handed on are those of the file that defines them.
    assert_eq!(room("pub use b::B;", "use super::B;", "", "pub struct B;", ""), [""; 0]);
    assert_eq!(room("pub use b::B;", "use super::B;", "", "use super::a::A; pub struct B;", "").len(), 1);
    assert_eq!(room("pub use b::*;", "use super::B;", "", "use super::a::A; pub struct B;", "").len(), 1);
    // Test code makes no circle.
    assert_eq!(room("", "use super::b::B;", "", "#[cfg(test)] mod tests { use super::super::a::A; }", ""), [""; 0]);
}

#[test]
fn rooms_that_use_each_other_are_a_circle_too() {
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
    assert_eq!(circles(&sources(&files)).len(), 1);
}

#[test]
fn what_is_test_code_the_parse_says_and_not_the_name() {
    let files = [
        ("lib.rs", "mod tests; #[cfg(test)] mod evaluation; #[cfg(test)] mod inline { mod deep; }"),
        ("tests.rs", "//! Program code.\nfn dementia() {}"),
        ("evaluation.rs", "//! A test.\nmod below; fn dementia() {}"),
        ("evaluation/below.rs", "//! A test.\nfn dementia() {}"),
        ("inline/deep.rs", "//! A test.\nfn dementia() {}"),
    ];
    assert_eq!(diseases(&sources(&files), &[]), ["tests.rs speaks of dementia"]);
}

#[test]
fn files_that_nobody_declares_that_say_nothing_or_leave_something_to_do_are_found() {
    let files = [
        ("lib.rs", "//! All.\nmod a; mod b; #[cfg(test)] mod tests;"),
        ("a.rs", "fn a() {}"),
        ("b.rs", "//! It.\n// TODO: more"),
        ("c.rs", "//! Forgotten."),
        ("tests.rs", "//! Tests."),
    ];
    assert_eq!(
        said(&sources(&files)),
        ["c.rs is declared by no module", "a.rs does not say what it is", "b.rs has TODO",]
    );
}

#[test]
fn a_disease_in_program_code_is_found() {
    let speak = |text: &str| diseases(&sources(&[("lib.rs", text)]), &[]);
    assert_eq!(speak("// As in Alzheimer's.\n"), ["lib.rs speaks of alzheimer"]);
    assert_eq!(speak("fn f() { \"cognitive_impairment\" }"), ["lib.rs speaks of cognitive_"]);
    assert_eq!(speak("#[cfg(test)] mod tests { const X: &str = \"dementia\"; } fn f() {}"), [""; 0]);
    assert_eq!(speak("#[cfg(test)] mod tests {} const X: &str = \"dementia\";").len(), 1);
    assert_eq!(diseases(&sources(&[("lib.rs", "// dementia")]), &["lib.rs"]), [""; 0]);
}

#[test]
fn a_path_is_followed_to_where_it_is_defined() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub use inner::Thing as Renamed; mod inner; pub use self::inner as other;"),
        ("a/inner.rs", "pub struct Thing;"),
        ("b.rs", "use crate::a; fn f() { a::Renamed::new(); }\nuse crate::a::other::Thing;"),
    ];
    let sources = sources(&files);
    let found: Vec<_> = sources.references.iter().filter(|r| r.from == ["b"]).map(|r| (r.line, r.to.clone())).collect();
    let thing = Target::Ours { module: vec!["a".into(), "inner".into()], item: Some("Thing".into()) };
    assert_eq!(found, [(1, Target::Ours { module: vec!["a".into()], item: None }), (1, thing.clone()), (2, thing)]);
}
