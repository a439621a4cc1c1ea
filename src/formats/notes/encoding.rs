//! Bytes to UTF-8. A byte order mark or whoever asks says what the bytes are; without either they are UTF-8, or the file is
//! refused with the place of the first byte that is not, and the encoding that it may be in.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::source::{self, Input};
use crate::formats::FormatError;

/// An encoding by one of its usual names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl FromStr for TextEncoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Encoding::for_label_no_replacement(name.trim().as_bytes());
        known.map(Self).ok_or_else(|| {
            "not known; some are utf-8, utf-16le, windows-1252, windows-1251, gb18030, big5, shift_jis, euc-jp, euc-kr"
                .into()
        })
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

/// Input in UTF-8, and the encoding that the file is in.
pub(super) struct InUtf8 {
    pub input: Input,
    pub encoding: TextEncoding,
}

/// Sees to it that what is read is UTF-8. A file is looked through before anything of it is taken; of standard input only
/// the beginning can be.
pub(super) fn in_utf8(
    path: &Path,
    mut input: Input,
    head: &[u8],
    asked: Option<TextEncoding>,
) -> Result<InUtf8, FormatError> {
    let marked = Encoding::for_bom(head);
    let encoding = match (asked, marked) {
        (Some(TextEncoding(encoding)), _) => encoding,
        (None, Some((encoding, _))) => encoding,
        (None, None) => {
            if let Some(encoding) = wide(head) {
                let place = NotInEncoding { line: 1, column: 1, likely: Some(TextEncoding(encoding)) };
                return Err(place.error(path, UTF_8));
            }
            UTF_8
        }
    };
    // Whoever says that it is UTF-8 wants all records that are.
    if asked != Some(TextEncoding(UTF_8))
        && let Some(place) = first_fault(path, head, encoding)?
    {
        return Err(place.error(path, encoding));
    }
    if encoding == UTF_8 {
        if head.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
    } else {
        let decoder = encoding.new_decoder_with_bom_removal();
        let decoded = Decoded { input, decoder, rest: Vec::new(), at: 0, ended: false };
        input = Box::new(BufReader::with_capacity(1 << 16, decoded));
    }
    Ok(InUtf8 { input, encoding: TextEncoding(encoding) })
}

/// UTF-16 without a mark: in texts with Latin letters, digits or line ends every other byte is zero here and there, and
/// always on the same side.
fn wide(head: &[u8]) -> Option<&'static Encoding> {
    let (mut sides, mut pairs) = ([0_usize; 2], 0_usize);
    for pair in head.chunks_exact(2) {
        pairs += 1;
        sides[0] += usize::from(pair[0] == 0);
        sides[1] += usize::from(pair[1] == 0);
    }
    match sides {
        _ if pairs < 2 => None,
        [0, right] if right > 1 && right * 20 >= pairs => Some(UTF_16LE),
        [left, 0] if left > 1 && left * 20 >= pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// Where a file is not in its encoding.
struct NotInEncoding {
    line: usize,
    column: usize,
    likely: Option<TextEncoding>,
}

impl NotInEncoding {
    fn error(self, path: &Path, encoding: &'static Encoding) -> FormatError {
        let (line, column, likely) = (self.line, self.column, self.likely.map(|likely| likely.to_string()));
        FormatError::Encoding { path: path.into(), line, column, not: TextEncoding(encoding).to_string(), likely }
    }
}

/// Looks a file through for the first byte that cannot stand there; of what is no file, its head.
fn first_fault(path: &Path, head: &[u8], encoding: &'static Encoding) -> Result<Option<NotInEncoding>, FormatError> {
    const AT_ONCE: usize = 1 << 16;
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let (mut input, whole): (Box<dyn Read>, bool) = match source::again(path)? {
        Some(input) => (input, true),
        None => (Box::new(head), false),
    };
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let (mut bytes, mut text) = (vec![0; AT_ONCE], vec![0; AT_ONCE * 3 + 16]);
    let (mut line, mut column) = (1, 1);
    loop {
        let got = input.read(&mut bytes).map_err(fail)?;
        let last = got == 0 && whole;
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(&bytes[..got], &mut text, last);
        let text = &text[..written];
        let after = text.iter().rposition(|b| *b == b'\n');
        line += text.iter().filter(|b| **b == b'\n').count();
        // Each character has one byte that is no continuation.
        let characters = |text: &[u8]| text.iter().filter(|b| **b & 0xc0 != 0x80).count();
        column = after.map_or(column + characters(text), |at| 1 + characters(&text[at + 1..]));
        match result {
            DecoderResult::Malformed(..) => {
                let likely = likely(&bytes[read.saturating_sub(256)..got]).filter(|_| encoding == UTF_8);
                return Ok(Some(NotInEncoding { line, column, likely }));
            }
            DecoderResult::InputEmpty if got == 0 => return Ok(None),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
    }
}

/// What bytes that are no UTF-8 may be in.
fn likely(bytes: &[u8]) -> Option<TextEncoding> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let found = detector.guess(None, Utf8Detection::Deny);
    Some(TextEncoding(if found == GBK { GB18030 } else { found }))
}

/// What is read, in UTF-8.
struct Decoded {
    input: Input,
    decoder: Decoder,
    /// Decoded and not yet handed on, from `at` on.
    rest: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() && !self.ended {
            let bytes = self.input.fill_buf()?;
            let bytes = &bytes[..bytes.len().min(1 << 16)];
            let last = bytes.is_empty();
            let most = self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
            self.rest.resize(most, 0);
            let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.rest, last);
            self.input.consume(read);
            self.rest.truncate(written);
            self.at = 0;
            self.ended = last && result == CoderResult::InputEmpty;
        }
        let n = buffer.len().min(self.rest.len() - self.at);
        buffer[..n].copy_from_slice(&self.rest[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
