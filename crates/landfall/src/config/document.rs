//! `docs/configuration.md`, from the settings.

use std::fmt::Write as _;

use super::settings::{Preset, SECTIONS, SETTINGS, Setting};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from crates/landfall/src/config/settings.rs: `UPDATE_DOCUMENTS=1 cargo test -p landfall config`. -->

Nothing needs to be configured. Each setting can be given in three ways; the first in this list wins:

1. a flag, such as `--registry-anonymous-pull` or `--server-drain-timeout 1m` (`--listen` is short for `--server-listen`),
2. a variable of the environment, such as `LANDFALL_SERVER_DRAIN_TIMEOUT=1m` (an empty one counts as not set),
3. the configuration file.

The file is named by `--config FILE` or `LANDFALL_CONFIG`; without them `landfall.toml` in the data folder is read, if it
exists. It is TOML:

```toml
data = \"/srv/landfall\"

[server]
listen = \"0.0.0.0:5000\"
drain_timeout = \"1m\"

[registry]
anonymous_pull = true
```

A key that does not exist and a value that can't be read stop the start, with the line and what was probably meant. An
unknown variable that begins with `LANDFALL_` is only warned about. `landfall config show` prints the values that hold, and
where each comes from.

Durations are numbers with `ms`, `s`, `m`, `h` or `d`, also together: `1h30m`. Sizes are bytes, or have `KB`, `MB`, `GB`,
`TB` (powers of 1000) or `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024). Relative paths begin at the working directory.

These variables are no settings: `LANDFALL_ADMIN_PASSWORD` (the first administrator's password), `LANDFALL_MASTER_KEY` (the
master key itself, as 64 hexadecimal digits, instead of its file), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`
(the key of the bucket), `LANDFALL_LOG` (a filter for log lines, more precise than `log.level`), and those of the client,
`LANDFALL_SERVER`, `LANDFALL_USER` and `LANDFALL_PASSWORD`.
";

/// The whole document, in Markdown.
pub(super) fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    let top = SETTINGS.iter().filter(|setting| setting.section.is_empty());
    table(&mut text, top);
    for (section, about) in SECTIONS {
        // Writing to a string does not fail.
        let _ = write!(text, "\n## `[{section}]`\n\n{}\n", about.trim());
        table(
            &mut text,
            SETTINGS
                .iter()
                .filter(|setting| setting.section == *section),
        );
    }
    text
}

fn table<'a>(text: &mut String, settings: impl Iterator<Item = &'a Setting>) {
    text.push_str("\n| setting | default | flag, variable | meaning |\n|---|---|---|---|\n");
    for setting in settings {
        let key = setting.name.rsplit('.').next().unwrap_or(setting.name);
        let default = match setting.default {
            Preset::Is(value) => format!("`{value}`"),
            Preset::Unset => "none".to_owned(),
            Preset::InData { scheme, entry } => format!("`{scheme}DATA/{entry}`"),
        };
        let _ = writeln!(
            text,
            "| `{key}` | {default} | `--{}`, `{}` | {} Takes {}. |",
            setting.flag(),
            setting.variable(),
            setting.document(),
            setting.expected,
        );
    }
}
