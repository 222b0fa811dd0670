//! Help that fits, with examples; completions for the common shells.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::{alone, assert_narrow};

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, after)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = after.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command, as words: `[]`, `[repo]`, `[repo, list]`..
fn commands() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut next = 0;
    while let Some(words) = all.get(next).cloned() {
        for name in subcommands(&help(&words, "--help")) {
            let mut below = words.clone();
            below.push(name);
            all.push(below);
        }
        next += 1;
    }
    all
}

fn help(words: &[String], flag: &str) -> String {
    let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
    all.push(flag);
    alone(&all).ok()
}

#[test]
fn every_help_fits_80_columns_and_has_an_example_where_something_is_to_be_given() {
    let commands = commands();
    assert!(
        commands.len() > 20,
        "only {} commands were found",
        commands.len()
    );
    for words in commands {
        for flag in ["-h", "--help"] {
            let text = help(&words, flag);
            assert_narrow(&text);
            let usage = text
                .lines()
                .find(|line| line.starts_with("Usage: "))
                .expect("a usage");
            let is_command = !usage.contains("<COMMAND>");
            let takes_arguments = is_command && usage.contains('<');
            if takes_arguments {
                assert!(text.contains("Example"), "{words:?} {flag} has no example");
            }
            let examples = text.split_once("\nExample").map_or("", |(_, rest)| rest);
            for line in examples.lines().filter(|line| line.contains("landfall ")) {
                assert!(
                    line.starts_with("  "),
                    "an example of {words:?} is broken: {line}"
                );
            }
        }
    }
}

/// What the examples show is understood: each is parsed, up to its end.
#[test]
fn the_examples_are_commands_that_exist() {
    let mut tried = 0;
    for words in commands() {
        let text = help(&words, "--help");
        let examples = text.split_once("\nExample").map_or("", |(_, rest)| rest);
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            let Some((_, example)) = line.split_once("landfall ") else {
                continue;
            };
            let example = example.split(['|', '<', '>']).next().unwrap_or_default();
            // The help of a command is printed only if its words are known.
            let mut given: Vec<&str> = example.split_whitespace().collect();
            given.retain(|word| !word.contains("..."));
            given.push("--help");
            let ran = alone(&given);
            assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
            tried += 1;
        }
    }
    assert!(tried > 15, "only {tried} examples were found");
}

#[test]
fn completions_are_there_for_every_shell_and_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = alone(&["completions", shell]).ok();
        for word in ["repo", "image", "history", "restore", "server-listen"] {
            assert!(script.contains(word), "{shell} does not complete `{word}`");
        }
    }
    let script = alone(&["completions", "bash"]).ok();
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .expect("bash");
    bash.stdin
        .take()
        .expect("piped")
        .write_all(script.as_bytes())
        .expect("written");
    assert!(
        bash.wait().expect("it ends").success(),
        "the script is not one of bash"
    );
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = format!("landfall {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(alone(&["--version"]).ok(), expected);
    let printed = alone(&["repo", "list", "--version"]).ok();
    assert!(printed.contains(env!("CARGO_PKG_VERSION")), "{printed}");
}
