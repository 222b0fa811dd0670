//! Refuses what could cost much before anything reads it closely: long texts,
//! deep nesting, endless chains of operators.
//!
//! It cuts the text into the words and signs that the language's own parser
//! sees, so that nothing is hidden from it in a comment or behind a blank.
//! What it counts is how deep the tree of a statement can get: each pass over
//! the tree takes stack for each level of it.

use super::parse::{LONGEST_POLICY, PolicyError, at};

/// How deep brackets may nest: deeper than anybody writes.
pub(super) const MOST_BRACKETS: usize = 16;
/// How many levels the tree of a statement may have: brackets, operators in a
/// chain, one `if` in another. To compile one takes up to 100 KiB of the stack
/// of a debug build, so that is done on threads of [`super::stack`]; a decision
/// takes much less.
pub(super) const DEEPEST: usize = 40;
/// The most operators of one statement.
const MOST_OPERATORS: usize = 200;

/// What is between two brackets, or a whole statement: how deep it may be.
///
/// A chain of `||` has chains of `&&` in it, and those have the rest. Each
/// operator of a chain is one level, and what it joins is below.
#[derive(Default)]
struct Frame {
    /// The bracket that ends it.
    end: char,
    /// `if`s since the last comma.
    ifs: usize,
    /// Below them: the deepest condition or branch that is over.
    branch: usize,
    ors: usize,
    /// Below them: the deepest chain of `&&` that is over.
    or_part: usize,
    ands: usize,
    /// Below them: the deepest part that is over.
    and_part: usize,
    /// Other operators of the present part.
    rest: usize,
    /// The present part has a `has`: a path after it is taken apart.
    has: bool,
    /// The deepest bracket of the present part.
    inner: usize,
    /// The deepest element before the last comma.
    element: usize,
}

impl Frame {
    fn part_over(&mut self) {
        self.and_part = self.and_part.max(self.rest + self.inner);
        (self.rest, self.inner, self.has) = (0, 0, false);
    }

    fn ands_over(&mut self) {
        self.part_over();
        self.or_part = self.or_part.max(self.ands + self.and_part);
        (self.ands, self.and_part) = (0, 0);
    }

    fn branch_over(&mut self) {
        self.ands_over();
        self.branch = self.branch.max(self.ors + self.or_part);
        (self.ors, self.or_part) = (0, 0);
    }

    fn element_over(&mut self) {
        self.branch_over();
        self.element = self.element.max(self.ifs + self.branch);
        (self.ifs, self.branch) = (0, 0);
    }

    /// How deep it is, if the present part has this below.
    fn depth(&self, inner: usize) -> usize {
        let part = self.and_part.max(self.rest + self.inner.max(inner));
        let ands = self.or_part.max(self.ands + part);
        let present = self.ifs + self.branch.max(self.ors + ands);
        self.element.max(present)
    }
}

/// A statement as far as it was seen.
struct Statement {
    /// The frames that are open; the first is the statement itself.
    frames: Vec<Frame>,
    operators: usize,
}

impl Statement {
    fn new() -> Self {
        Self {
            frames: vec![Frame::default()],
            operators: 0,
        }
    }

    /// The innermost frame.
    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// A word or a sign, but no closing bracket.
    fn see(&mut self, token: &str) {
        let weight = match token {
            "then" => {
                self.frame().branch_over();
                return;
            }
            "else" | "if" => {
                self.frame().branch_over();
                usize::from(token == "if")
            }
            "," => {
                self.frame().element_over();
                return;
            }
            "&&" => {
                self.frame().part_over();
                self.frame().ands += 1;
                1
            }
            "||" => {
                self.frame().ands_over();
                self.frame().ors += 1;
                1
            }
            // Those become two operators.
            "!=" | ">" | ">=" => 2,
            "." if self.frame().has => 2,
            "has" => {
                self.frame().has = true;
                1
            }
            "in" | "is" | "like" | "unless" | "!" | "==" | "=" | "<" | "<=" | "+" | "-" | "*"
            | "/" | "%" | "." | "(" | "[" | "{" => 1,
            _ => return,
        };
        self.operators += weight.max(1);
        match token {
            "if" => self.frame().ifs += 1,
            "else" | "&&" | "||" => {}
            _ => self.frame().rest += weight,
        }
        let end = match token {
            "(" => ')',
            "[" => ']',
            "{" => '}',
            _ => return,
        };
        self.frames.push(Frame {
            end,
            ..Frame::default()
        });
    }

    /// `false` if the bracket closes another one, or none.
    fn close(&mut self, bracket: char) -> bool {
        if self.frames.len() < 2 || self.frame().end != bracket {
            return false;
        }
        if let Some(mut closed) = self.frames.pop() {
            closed.element_over();
            let frame = self.frame();
            frame.inner = frame.inner.max(closed.element);
        }
        true
    }

    fn depth(&self) -> usize {
        let inside_out = self.frames.iter().rev();
        inside_out.fold(0, |inner, frame| frame.depth(inner))
    }
}

/// Refuses what may not be read.
pub(super) fn guard(text: &str) -> Result<(), PolicyError> {
    let refuse = |offset, message: String, hint: &str| {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Err(at(text, offset, message, hint))
    };
    if text.len() > LONGEST_POLICY {
        let length = text.len();
        let message = format!("a policy has at most {LONGEST_POLICY} bytes, not {length}");
        return refuse(0, message, "make several policies of it");
    }
    let mut statement = Statement::new();
    let (mut offset, mut before) = (0, "");
    while let Some(first) = text[offset..].chars().next() {
        let start = offset;
        let rest = &text[start..];
        let length = match first {
            '"' => string(rest),
            '/' if rest.starts_with("//") => match comment(rest) {
                Ok(length) => length,
                Err(place) => return refuse(start + place, CONTROL.to_owned(), CONTROL_HINT),
            },
            '_' | 'a'..='z' | 'A'..='Z' => {
                span(rest, |each| each == '_' || each.is_ascii_alphanumeric())
            }
            '0'..='9' => span(rest, |each| each.is_ascii_digit()),
            _ if first.is_control() && !is_plain(rest) => {
                return refuse(start, CONTROL.to_owned(), CONTROL_HINT);
            }
            _ if !first.is_ascii() && first.is_whitespace() => {
                let message = format!("a blank that is no space: U+{:04X}", u32::from(first));
                return refuse(start, message, "put a space in its place");
            }
            _ => sign(rest),
        };
        let length = length.max(first.len_utf8());
        offset += length;
        match first {
            ';' if statement.frames.len() == 1 => statement = Statement::new(),
            ')' | ']' | '}' => {
                if !statement.close(first) {
                    let message = format!("`{first}` closes nothing that is open here");
                    return refuse(start, message, "close each bracket by its like");
                }
            }
            '"' => {}
            // There it is a name, whatever it is otherwise.
            'a'..='z' if before == "." || before == "::" => {}
            _ => statement.see(&rest[..length]),
        }
        if !first.is_whitespace() && !rest.starts_with("//") {
            before = &rest[..length];
        }
        if statement.frames.len() > MOST_BRACKETS + 1 {
            let message = format!("brackets nest deeper than {MOST_BRACKETS}");
            return refuse(start, message, "");
        }
        if statement.operators > MOST_OPERATORS {
            let message = format!("a statement has more than {MOST_OPERATORS} operators");
            return refuse(start, message, "make several statements of it");
        }
        if statement.depth() > DEEPEST {
            let message = format!(
                "a statement nests deeper than {DEEPEST} levels; each operator of a chain is one"
            );
            let hint = "make several statements of it, or ask for one of many by \
                        `[..].contains(..)`";
            return refuse(start, message, hint);
        }
    }
    Ok(())
}

const CONTROL: &str = "a control character";
const CONTROL_HINT: &str = "end lines by a line feed, and leave other control characters out";

/// Whether the text starts with a control character that may be there.
fn is_plain(rest: &str) -> bool {
    rest.starts_with(['\n', '\t']) || rest.starts_with("\r\n")
}

/// The bytes of the string that this starts with. A quote that is never
/// closed stops the parser where it is.
fn string(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((offset, inside)) = characters.next() {
        match inside {
            '\\' => drop(characters.next()),
            '"' => return offset + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The bytes of the comment that this starts with, or where a character is
/// that may not be in it: some of them end a comment.
fn comment(rest: &str) -> Result<usize, usize> {
    for (offset, inside) in rest.char_indices() {
        if inside == '\n' {
            return Ok(offset);
        }
        if inside.is_control() && !is_plain(&rest[offset..]) {
            return Err(offset);
        }
    }
    Ok(rest.len())
}

fn span(rest: &str, of: impl Fn(char) -> bool) -> usize {
    rest.find(|each| !of(each)).unwrap_or(rest.len())
}

/// The bytes of the sign that this starts with.
fn sign(rest: &str) -> usize {
    const TWO: [&str; 7] = ["&&", "||", "==", "!=", "<=", ">=", "::"];
    usize::from(TWO.iter().any(|two| rest.starts_with(two))) + 1
}

#[cfg(test)]
mod tests;
