//! `goldsmith bundle` and `goldsmith merge`: a site's events out, and another's in.

use super::arguments::{BundleArgs, MergeArgs};
use super::{Bar, Exit, Failure, cancel_on_signal, say};
use crate::formats::tables::counted;
use crate::workflow::bundle::{self, BundleOptions, MergeOptions, MergeSummary};
use crate::workflow::project::Project;
use crate::workflow::session::Session;

pub(super) fn write(project: &Project, args: BundleArgs) -> Result<Exit, Failure> {
    let mut store = project.store()?;
    let options = BundleOptions {
        out: args.out,
        annotator: args.annotator.map(crate::domain::label::Annotator),
        site: args.site,
        new: args.new,
        with_text: args.with_text,
        comments: args.comments,
        plain: args.plain,
        to: args.to,
        passphrase_env: args.passphrase_env,
        sign: args.sign,
        sign_password_env: args.sign_password_env,
    };
    let (cancel, bar) = (cancel_on_signal(), Bar::default());
    let written = bundle::write(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options)?;
    let out = options.out.display();
    if written.reworded > 0 {
        say(&format!(
            "{} that reword a sentence stay here because their words may quote a note; --comments includes them",
            counted(written.reworded as usize, "event")
        ));
    }
    if written.events == 0 {
        say(if options.new {
            "nothing was decided since the last bundle; no file was written"
        } else {
            "there is nothing to bundle; no file was written"
        });
        return Ok(Exit::Nothing);
    }
    let sealed = if written.sealed { "encrypted" } else { "anyone can open it" };
    let signed = written.signer.as_ref().map_or_else(String::new, |key| format!(", signed by key {key}"));
    say(&format!("wrote {out}: {} from {}, {sealed}{signed}", counted(written.events as usize, "event"), written.site));
    if options.with_text {
        say(&format!(
            "it holds the text of {} with {}; the egress log says that it was written (`goldsmith egress`)",
            counted(written.notes as usize, "note"),
            counted(written.sentences as usize, "sentence")
        ));
        if !written.restricted.is_empty() {
            say(&format!(
                "warning: these include {}, whose terms forbid passing them to anyone who has not agreed to those terms",
                written.restricted
            ));
        }
    } else {
        say("it holds no text of notes: sentences are named by their note's hash and their place");
        if written.withheld > 0 {
            say(&format!(
                "{} stay here because they may quote a note; --comments includes them",
                counted(written.withheld as usize, "comment")
            ));
        }
        if options.comments {
            say("it holds comments and reworded sentences, which may quote a note");
        }
        if written.quoting > 0 {
            say("a version of the guideline quotes sentences of your notes and stays here; only its hash is included");
        }
    }
    say(&format!(
        "the log's last link is {0}; `goldsmith audit --expect {0}` will tell whether the log was rewritten since",
        written.head
    ));
    Ok(Exit::Done)
}

pub(super) fn take_in(project: &Project, args: MergeArgs) -> Result<Exit, Failure> {
    let mut store = project.store()?;
    let (cancel, bar) = (cancel_on_signal(), Bar::default());
    let mut nothing = true;
    for file in args.files {
        let options = MergeOptions {
            file,
            identities: args.identity.clone(),
            passphrase_env: args.passphrase_env.clone(),
            signed_by: args.signed_by.clone(),
            trust: args.trust,
        };
        let taken = bundle::take_in(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options)?;
        report(project, &options, &taken);
        nothing &= taken.merged.new + taken.merged.known + taken.notes == 0;
        if taken.cancelled {
            say("stopped; run the same command again to resume");
            return Ok(Exit::Stopped);
        }
    }
    Ok(Exit::unless_nothing(nothing))
}

fn report(project: &Project, options: &MergeOptions, taken: &MergeSummary) {
    let merged = taken.merged;
    let signed = match &taken.signer {
        Some(key) => format!("signed by key {key}"),
        None if taken.on_trust > 0 => format!("{} taken in on trust", counted(taken.on_trust as usize, "event")),
        None => "each event signed by a key that is known here".into(),
    };
    say(&format!("{}: from {}, {signed}", options.file.display(), taken.header.site));
    let people: Vec<String> = taken.people.iter().take(20).map(|(name, events)| format!("{name} {events}")).collect();
    say(&format!("{} new events, {} already here ({})", merged.new, merged.known, people.join(", ")));
    if taken.notes > 0 {
        say(&format!("{} new notes with {} sentences", taken.notes, taken.sentences));
    }
    if merged.without_note > 0 {
        say(&format!(
            "warning: {} events are on notes that are not here; import the notes and merge the same bundle again, or ask for one --with-text",
            merged.without_note
        ));
    }
    if merged.cut_otherwise > 0 {
        say(&format!(
            "warning: {} events are on sentences that are cut differently here and were left out; both sites must import the notes in the same way",
            merged.cut_otherwise
        ));
    }
    if taken.not_adjudicators > 0 {
        say(&format!(
            "warning: {} by people who are no adjudicators here; they were left out",
            counted(taken.not_adjudicators as usize, "settlement")
        ));
    }
    if merged.other_proposal > 0 {
        say(&format!(
            "warning: {} events name a machine's label that is another one here, and were left out",
            merged.other_proposal
        ));
    }
    if taken.withheld > 0 {
        say(&format!("{} of its events had a comment, which stayed at its site", taken.withheld));
    }
    for (label, count) in taken.unknown_labels.iter().take(20) {
        say(&format!("warning: {count} times `{label}` is no label of this project's taxonomy"));
    }
    let here = project.taxonomy.hash();
    if taken.header.taxonomy != here {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        say(&format!(
            "warning: that site uses another version of the guideline ({0}, here {1}); `goldsmith taxonomy diff {0}` says what differs",
            short(&taken.header.taxonomy),
            short(&here)
        ));
    }
    if taken.misnamed > 0 {
        say("warning: a version of the guideline in it does not match its hash; it was left out");
    }
    if taken.disputed > 0 {
        say(&format!(
            "{} disputed now; open the workbench, screen Adjudicate",
            if taken.disputed == 1 { "1 sentence is".into() } else { format!("{} sentences are", taken.disputed) }
        ));
    }
}
