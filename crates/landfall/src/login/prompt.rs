//! Names and passwords that a person types, and secrets that a program sends.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
};

use anyhow::{Context, Result, bail};
use landfall_identity::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;
/// How a program ends that was asked to by Ctrl-C, as shells see it.
const INTERRUPTED: i32 = 130;

/// A terminal that shows nothing of what is typed, until this goes away.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

fn terminal() -> Result<File> {
    let opened = File::options().read(true).write(true).open("/dev/tty");
    opened.context(
        "there is no terminal to type a password at; use `--password-stdin`, or give it in \
         LANDFALL_PASSWORD",
    )
}

/// What a person types after the question, seen by all.
pub(crate) async fn name(question: &str) -> Result<String> {
    let terminal = terminal()?;
    Ok(typed(&terminal, question).await?.trim().to_owned())
}

/// As [`name`], seen by nobody.
pub(crate) async fn password(question: &str) -> Result<Secret> {
    let terminal = terminal()?;
    let quiet = Quiet::new(&terminal).context("the terminal can't be made quiet")?;
    let typed = typed(&terminal, question).await;
    drop(quiet);
    let password = Secret::new(typed?);
    if password.reveal().is_empty() {
        bail!("no password was typed");
    }
    Ok(password)
}

/// A line from the terminal. Ctrl-C ends the program, which leaves the terminal
/// as it was.
async fn typed(terminal: &File, question: &str) -> Result<String> {
    let mut shown = terminal;
    write!(shown, "{question}: ")?;
    let reading = terminal.try_clone()?;
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(reading.take(LONGEST))
            .read_line(&mut line)
            .map(|_| line)
    });
    tokio::select! {
        line = line => Ok(one_line(&line??).to_owned()),
        _ = tokio::signal::ctrl_c() => {
            if let Ok(mut modes) = tcgetattr(terminal) {
                modes.local_modes.insert(LocalModes::ECHO);
                let _ = tcsetattr(terminal, OptionalActions::Now, &modes);
            }
            std::process::exit(INTERRUPTED)
        }
    }
}

/// The secret that a program sends on standard input.
pub(crate) fn from_stdin() -> Result<Secret> {
    let mut text = String::new();
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("the password can't be read from standard input")?;
    let secret = Secret::new(one_line(&text));
    if secret.reveal().is_empty() {
        bail!("there is no password on standard input");
    }
    Ok(secret)
}

/// A line without its end.
fn one_line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_line_is_taken_off_a_password() {
        assert_eq!(one_line(" a b \r\n"), " a b ");
        assert_eq!(one_line("a"), "a");
        assert_eq!(one_line("a\n\n"), "a\n");
    }
}
