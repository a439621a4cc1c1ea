//! What the screen finds, and what it leaves alone.

use proptest::prelude::*;

use super::PhiKind::*;
use super::*;

#[track_caller]
fn finds(text: &str, wanted: &[(PhiKind, &str)]) {
    let found: Vec<(PhiKind, &str)> = screen(text).iter().map(|f| (f.kind, f.span.of(text))).collect();
    assert_eq!(found, wanted, "in {text:?}");
}

#[test]
fn a_name_and_a_date_are_found_among_scores() {
    finds("Dr. Osei saw her on 3/1/24: MMSE 24/30, BP 130/80.", &[(Name, "Osei"), (Date, "3/1/24")]);
}

#[test]
fn names_follow_titles_fields_and_come_before_degrees() {
    for (text, name) in [
        ("Seen by Dr. Osei at home.", "Osei"),
        ("Mr Smith's wife reports", "Smith"),
        ("Mrs. Melissa Sanchez is a 58-year-old", "Melissa Sanchez"),
        ("Ms O'Brien-Jones forgot", "O'Brien-Jones"),
        ("Dr. J. R. de la Cruz, cardiology", "J. R. de la Cruz"),
        ("MR. SMITH WAS SEEN", "SMITH"),
        ("According to Dr. Reitman's notes", "Reitman"),
        ("He saw Dr. Smith. He is well", "Smith"),
        ("follow up with Dr. Tyler Sanchez. - Ordered", "Tyler Sanchez"),
        ("Prof. Lübeck agrees", "Lübeck"),
        ("reviewed by Dr.\nOsei today", "Osei"),
        ("by Ruth Sanchez, PA in", "Ruth Sanchez"),
        ("Dr. Smith MRI today", "Smith"),
        ("Patient Name: Ann Other", "Ann Other"),
        ("next of kin: Joan Hill (daughter)", "Joan Hill"),
        ("Name: Ann", "Ann"),
        ("Dictated by: Ann B. Other, MD", "Ann B. Other"),
        ("Reviewed with Jane Smith, M.D., today", "Jane Smith"),
        ("Elizabeth Ross is a pleasant 61-year-old female", "Elizabeth Ross"),
    ] {
        finds(text, &[(Name, name)]);
    }
}

#[test]
fn dates_in_many_writings() {
    for (text, date) in [
        ("on 2024-03-01", "2024-03-01"),
        ("at 2024-03-01T10:15", "2024-03-01"),
        ("since 3/1/24.", "3/1/24"),
        ("05/10/2004 and", "05/10/2004"),
        ("am 01.03.2024", "01.03.2024"),
        ("on 03-01-24", "03-01-24"),
        ("from 10/2020 visit", "10/2020"),
        ("March 3rd, 2024: seen", "March 3rd, 2024"),
        ("seen 3 Mar 2024.", "3 Mar 2024"),
        ("3-Mar-24", "3-Mar-24"),
        ("until the 3rd of July 2008 when", "3rd of July 2008"),
        ("on March 8 she", "March 8"),
        ("on Dec. 12, 2019", "Dec. 12, 2019"),
        ("in September of 2006 revealing", "September of 2006"),
        ("in january 2004", "january 2004"),
        ("DOB: 12/04/1938", "12/04/1938"),
        ("fell on 03/15.", "03/15"),
    ] {
        finds(text, &[(Date, date)]);
    }
}

#[test]
fn numbers_addresses_and_ages() {
    for (text, kind, found) in [
        ("call (555) 123-4567", Phone, "(555) 123-4567"),
        ("call 555-234-4567.", Phone, "555-234-4567"),
        ("fax (555) 234-4567", Phone, "(555) 234-4567"),
        ("(555)234-4567", Phone, "(555)234-4567"),
        ("at 1-800-555-0199", Phone, "1-800-555-0199"),
        ("+44 20 7946 0958", Phone, "+44 20 7946 0958"),
        ("tel: 020 7946 0958", Phone, "020 7946 0958"),
        ("on 07700 900123 today", Phone, "07700 900123"),
        ("phone 555-1234", Phone, "555-1234"),
        ("MRN 1234567", RecordNumber, "1234567"),
        ("MRN: A-12345.", RecordNumber, "A-12345"),
        ("Record #: 88421", RecordNumber, "88421"),
        ("medical record number is 0012345", RecordNumber, "0012345"),
        ("NHS number 943 476 5919", RecordNumber, "943 476 5919"),
        ("Acct no. 4411-22", RecordNumber, "4411-22"),
        ("SSN 123-45-6789", RecordNumber, "123-45-6789"),
        ("123-45-6789", RecordNumber, "123-45-6789"),
        ("lives at 12 Mill Lane with", Address, "12 Mill Lane"),
        ("of 221B Baker St. in", Address, "221B Baker St."),
        ("4500 N. Elm Grove Road", Address, "4500 N. Elm Grove Road"),
        ("P.O. Box 12", Address, "P.O. Box 12"),
        ("of MA 02139", Address, "MA 02139"),
        ("MA 02139-1234,", Address, "MA 02139-1234"),
        ("London SW1A 1AA.", Address, "SW1A 1AA"),
        ("M1 1AE", Address, "M1 1AE"),
        ("to ann.other@clinic.org.", Email, "ann.other@clinic.org"),
        ("see https://example.org/a?b=1.", Url, "https://example.org/a?b=1"),
        ("see www.example.org, or", Url, "www.example.org"),
        ("a 92-year-old woman", AgeOver89, "92"),
        ("92 y.o. man", AgeOver89, "92"),
        ("93yo", AgeOver89, "93"),
        ("90 y/o", AgeOver89, "90"),
        ("aged 93 and frail", AgeOver89, "93"),
        ("at the age of 91 years", AgeOver89, "91"),
        ("100 years old", AgeOver89, "100"),
        ("ninety-two years old", AgeOver89, "ninety-two"),
    ] {
        finds(text, &[(kind, found)]);
    }
}

#[test]
fn what_notes_are_full_of_is_no_identifier() {
    for text in [
        "BP 130/80, HR 72, RR 16, T 37.5, room air 98%.",
        "MMSE 24/30, MoCA 19/30, GDS 03/15, CDR 0.5, clock 3/4.",
        "Hydrocodone 5/325 mg 1-2 tabs q4-6h, Bactrim 400/80.",
        "donepezil 10 mg, Tylenol #3 q6h prn, #20 (twenty)",
        "Alzheimer's disease, Parkinson's, Lewy body, Huntington's chorea",
        "the Dr. said; Dr advised; seen by a Dr. The patient left.",
        "Dr. X and Dr. XYZ saw Mr. ABC; Ms. A agrees with Dr. Y.  Two weeks ago",
        "Mr. ___ and Dr. [**Last Name (STitle) 12**] on [**2101-3-4**] at [**555-123-4567**], Ms. [NAME].",
        "care 24/7; in 2004; 2019-2020; from 9/93; since 1998",
        "The 2-1/2-year-old; 1-1/2 packs; pain 4-5/10; 5/5 strength; grade 2/6 murmur; on 3/5 of days",
        "She may 2 or 3 times a week march 4 steps; in October; May take 2",
        "Na 138 K 4.2 Cl 101 CO2 24 BUN 12 Cr 0.9 Glu 98",
        "WBC 7.5, Hgb 13.2, Plt 250, TSH 2.14, B12 412 pg/mL, CA-125 12",
        "L4 5 disc, C5-C6, T12 1 cm, B12 1 mg at 8AM, L4 5MG",
        "weighs 92 kg, age 45; 98 years of data is a group; aged 90 or older; over 90 %; 18-92 years old",
        "Patient no. 12 of the trial; patient no longer drives; record 1200 mL; case no 3",
        "MS since youth, MR brain normal, Miss and repeat, MS. No relapse",
        "at 8:30 a.m., 10:45, 0600 and 1400; 37.5-38.5; 120-140; 1,200",
        "Diagnosis: Vascular Dementia is a 2-edged word",
        "C/O SOB; h/o DM2; s/p CABG x3 @ 2 L; 2 @ 3.5",
        "Drug name: Donepezil; the name: a blank",
    ] {
        finds(text, &[]);
    }
}

#[test]
fn several_in_order() {
    finds(
        "Mr. Hill (MRN 448812), 92 y.o., of 12 Mill Lane, London NW1 6XE, tel. 020 7946 0958, seen on 3 March 2024.",
        &[
            (Name, "Hill"),
            (RecordNumber, "448812"),
            (AgeOver89, "92"),
            (Address, "12 Mill Lane"),
            (Address, "NW1 6XE"),
            (Phone, "020 7946 0958"),
            (Date, "3 March 2024"),
        ],
    );
}

#[test]
fn names_without_a_title() {
    for (text, name) in [
        ("Today Michael was calm.", "Michael"),
        ("I spoke with Grace Kim about it", "Grace Kim"),
        ("SMITH, JOHN A. 68 M", "SMITH, JOHN A"),
        ("Smith, John presents", "Smith, John"),
        ("signed J. Okafor RN", "J. Okafor"),
        ("her son Okeke helps", "Okeke"),
        ("pt Grace Hill ate well", "Grace Hill"),
    ] {
        finds(text, &[(Name, name)]);
    }
}

#[test]
fn places_and_what_stands_in_a_network() {
    for (text, kind, found) in [
        ("lives in Springfield, IL with", Town, "Springfield, IL"),
        ("grew up in Eastport and", Town, "Eastport"),
        ("a flight from Boston.", Town, "Boston"),
        ("at Mercy General Hospital today", Facility, "Mercy General Hospital"),
        ("St. Luke's Medical Center called", Facility, "St. Luke's Medical Center"),
        ("zip code 02139", Address, "02139"),
        ("IP 192.168.0.12", IpAddress, "192.168.0.12"),
        ("from 2001:db8::1 at night", IpAddress, "2001:db8::1"),
        ("posts as @maria_g82", Handle, "@maria_g82"),
        ("Instagram: maria_g82", Handle, "maria_g82"),
        ("on clinic-portal.net/ann", Url, "clinic-portal.net/ann"),
    ] {
        finds(text, &[(kind, found)]);
    }
}

#[test]
fn numbers_of_licences_vehicles_and_devices() {
    for (text, kind, found) in [
        ("DEA AB1234563", Licence, "AB1234563"),
        ("driver's license S530-4601-0123", Licence, "S530-4601-0123"),
        ("VIN 1HGCM82633A004352", Vehicle, "1HGCM82633A004352"),
        ("license plate 7ABC123 was", Vehicle, "7ABC123"),
        ("pacemaker serial no. PM-8842913", Device, "PM-8842913"),
        ("Medicare ID 1EG4-TE5-MK73", RecordNumber, "1EG4-TE5-MK73"),
        ("SSN 123456789", RecordNumber, "123456789"),
        ("call 6175550123", Phone, "6175550123"),
        ("617.555.0123", Phone, "617.555.0123"),
        ("she is 94 and frail", AgeOver89, "94"),
        ("94F with a cough", AgeOver89, "94"),
    ] {
        finds(text, &[(kind, found)]);
    }
}

#[test]
fn medicine_that_looks_like_a_name_or_a_number() {
    for text in [
        "Thomas test negative, Allen test positive, Murphy's sign absent, Foley catheter, Babinski, Romberg",
        "Charcot-Marie tooth, Codman Hakim shunt, E. Coli, C. Diff, vitamin D. Brown stools",
        "PATIENT IS A 64 YEAR OLD FEMALE. MAY AMBULATE. WILL FOLLOW UP. HEAD PAIN, LONG STANDING. MARK SITE.",
        "she may take two; return in may; mark the site; grace under pressure; bill for visit",
        "Heart Failure Clinic, Memory Clinic, Pain Clinic, the Emergency Department, Wound Care Center",
        "Daughter Reports Confusion. Mother: Diabetes. Patient: Nope. Husband, I'm told. Seen by PT.",
        "Lives in Assisted Living; moved to California; born in Vietnam; from Medicare; in Neurology",
        "T2 FLAIR, G30.9, E11.9, CPT 99213, COVID-19, HLA-B27, pT2N0M0, L4-5, 2019-2020, 10-15 times",
        "1000000 units, platelets 250000, viral load 1250000 copies, CD4 500, 50,000 IU",
        "O2 sat is 94, T 98 F, HR is 98, she is 94 percent compliant, IQ is 92, weight is 94 kg",
        "serial troponins, lot of pain, model of care, plan 1234, plate and 6 screws, Alcohol 10 u/week",
        "uses facebook daily; username forgotten; instagram 3 hours; sent in e.g. www, .com",
    ] {
        finds(text, &[]);
    }
}

#[test]
fn values_from_ninety_on_are_no_ages() {
    for text in [
        "Her pulse is 94 and regular. She had a pulse of 104. HR reached 110, BP 94/60, MAP 92.",
        "Sats in the 90s; he was stable at 94 on 2 L; SpO2 dropped to 91, O2 saturation is 92.",
        "Glucose was 110 this morning; her sugar was 98, his weight is 92; he weighs 101 kg.",
        "She walked 100 feet; given 90 tablets; Tmax 101 F; fever to 102 F; a 100 mg dose; at 90 degrees.",
        "Score was 92 of 100; IQ of 94; he is 95 percent adherent; over 100 years of data; ages 65 to 92 years.",
        "Sodium 138, chloride 101, GFR 94, ferritin 110; patients aged 90 or older; 90+ years; a 100-year flood.",
        "Continue sertraline 100 mg; metoprolol was increased to 100; aspirin 81; in the 90s he worked nights.",
        "He is 94 kg; she was 92% on room air; it is 100 miles away; for 100 days; 90 minutes of therapy.",
    ] {
        finds(text, &[]);
    }
}

#[test]
fn medicine_that_looks_like_a_place_or_a_code() {
    for text in [
        "Switched to Namenda; allergic to Keflex; changed from Aricept to Exelon; responds to Tylenol; due to Lewy body.",
        "Transferred to Medicine; admitted to Neurology; referred to Cardiology; sent to Radiology; discharged to Home.",
        "Seen in Clinic; returned to Baseline; moved from Bed to Chair; lives in Assisted Living; seen at Bedside.",
        "Hoehn and Yahr stage 3; Trail Making B 120 seconds; Boston Naming Test 50/60; Montreal Cognitive Assessment 22/30.",
        "Pain at Rest; at Risk; on Monday; in March; at Night; at Bedtime; at Best 2/10.",
        "Lot of pain; 2-3 times; case 3 of 12; visit 2; study of 120 patients; report of 1200 mL; order 2000 units.",
        "CPT code 99213, ICD-10 code G30.9; protocol 12; 6/12 follow-up; pain 3/10 on exam; strength 4/5; on 3/5 of days.",
        "The car accident, MRI 2019 normal; her truck weighs 5000 lb; tag along; plate and 6 screws; 2 lane road.",
        "Handle the patient with care; uses facebook; the login failed; portal access; user of cannabis; profile: good.",
        "On Lasix Drive to eat is low; in pain; off Plavix; route PO; apt to fall; unit 4 nurse; floor 3; room 12.",
        "Vitamin D, Allen test, Barthel index 90, Tinetti 18/28, Rankin scale 3, Hoyer lift, Dakin solution, Rey figure.",
    ] {
        finds(text, &[]);
    }
}

#[test]
fn ages_towns_and_places_of_care_in_many_wordings() {
    for (text, kind, found) in [
        ("Mother died at 94.", AgeOver89, "94"),
        ("She will be 96 in June.", AgeOver89, "96"),
        ("A lady of 91 years", AgeOver89, "91"),
        ("Mr. Lopez, 94, fell.", AgeOver89, "94"),
        ("At 94, he still drives.", AgeOver89, "94"),
        ("Age/Sex: 94/F", AgeOver89, "94"),
        ("in her mid-90s", AgeOver89, "90s"),
        ("her 95th birthday", AgeOver89, "95"),
        ("a cabin near Pine Hollow", Town, "Pine Hollow"),
        ("a Tulsa native", Town, "Tulsa"),
        ("from Eastport MS", Town, "Eastport MS"),
        ("at the Lakeside emergency room", Facility, "Lakeside emergency room"),
        ("Rehab at Lakeside after surgery", Facility, "Lakeside"),
        ("her nursing home, Lakeside, called", Facility, "Lakeside"),
        ("seen at St. Luke's", Facility, "St. Luke's"),
        ("lives on Mill Lane", Address, "Mill Lane"),
        ("at 12 5th Avenue", Address, "12 5th Avenue"),
        ("her ZIP is 02139", Address, "02139"),
        ("off Route 9", Address, "Route 9"),
        ("lives in Apt 4B", Address, "Apt 4B"),
        ("his truck, ABC 1234, was", Vehicle, "ABC 1234"),
        ("goes by maria_g82 on the web", Handle, "maria_g82"),
        ("the file 12-3456 was", RecordNumber, "12-3456"),
        ("membership # 1234567", RecordNumber, "1234567"),
    ] {
        let text: &str = text;
        let all = screen(text);
        assert!(all.iter().any(|f| f.kind == kind && f.span.of(text) == found), "{found:?} in {text:?}: {all:?}");
    }
}

#[test]
fn a_town_is_found_beside_its_zip_code() {
    finds("Boston, MA 02139", &[(Town, "Boston"), (Address, "MA 02139")]);
}

#[test]
fn kinds_have_names_for_people() {
    assert_eq!(AgeOver89.to_string(), "age over 89");
}

/// Text of the pieces that rules look for.
fn rough() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("Dr. "),
        Just("Mr"),
        Just("Osei "),
        Just("é"),
        Just("3"),
        Just("/"),
        Just("-"),
        Just("03"),
        Just("2024"),
        Just("March "),
        Just("MRN "),
        Just("("),
        Just(")"),
        Just("555"),
        Just("+"),
        Just(" "),
        Just("."),
        Just("@"),
        Just("[**"),
        Just("**]"),
        Just("MA 02139"),
        Just("SW1A "),
        Just("1A"),
        Just("é"),
        Just("Mill Lane"),
        Just("\n"),
        Just("age "),
        Just("ninety"),
        Just("’"),
        Just("https://"),
        Just("www."),
        Just("de la "),
        Just(","),
        Just("#")
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let mut at = 0;
    for finding in screen(text) {
        let span = finding.span;
        prop_assert!(span.start >= at && !span.is_empty());
        prop_assert!(text.get(span.start..span.end).is_some());
        at = span.end;
    }
    Ok(())
}

proptest! {
    #[test]
    fn spans_are_in_order_and_cut_no_character(text in rough()) {
        check(&text)?;
    }

    #[test]
    fn no_text_brings_it_down(text in any::<String>()) {
        check(&text)?;
    }
}

#[test]
fn long_hostile_texts_take_linear_time() {
    for piece in [
        "[**",
        "a",
        "1",
        "1-",
        "Dr. ",
        "A. ",
        "www.",
        "a@",
        "Ab ",
        "MRN ",
        "1 Ab Ab Ab ",
        "é",
        "Smith, ",
        "call ",
        "Mercy of ",
        "a.",
        "::",
        "no. ",
        "@",
        "J.J.",
        "12 ",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        check(&text).unwrap();
    }
}
