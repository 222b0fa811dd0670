//! Settings from flags: `--<section>-<key>`.

use std::{path::PathBuf, sync::LazyLock};

use clap::{Arg, ArgMatches, parser::ValueSource};

use super::{
    environment,
    settings::{Preset, SETTINGS, Setting},
};

/// The id of the flag that names the file.
const FILE: &str = "config";

/// The flags that everybody uses: they have a short form, and `-h` shows them.
const COMMON: [(&str, &str); 2] = [("data", "data"), ("server.listen", "listen")];

/// The names of all flags, made once: clap wants them to live for ever.
static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let flags = SETTINGS.iter().map(|setting| Flag {
        setting,
        long: setting.flag(),
        heading: format!("Settings of [{}]", setting.section),
    });
    flags.collect()
});

struct Flag {
    setting: &'static Setting,
    long: String,
    heading: String,
}

/// A flag for each setting, and `--config`.
pub(crate) fn args() -> Vec<Arg> {
    let file = Arg::new(FILE)
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!(
            "The TOML file with the settings [env: {}] [default: DATA/landfall.toml, if it exists]",
            environment::FILE
        ));
    let mut args = vec![file];
    args.extend(FLAGS.iter().map(arg));
    args
}

fn arg(flag: &'static Flag) -> Arg {
    let setting = flag.setting;
    let default = match setting.default {
        Preset::Is(value) => format!(" [default: {value}]"),
        Preset::Unset => String::new(),
        Preset::InData { scheme, entry } => format!(" [default: {scheme}DATA/{entry}]"),
    };
    let help = format!(
        "{} [env: {}]{default}",
        setting.document(),
        setting.variable()
    );
    let arg = Arg::new(setting.name)
        .long(flag.long.as_str())
        .value_name(setting.placeholder)
        .help(help);
    let arg = match common(setting) {
        Some(short) if short == flag.long => arg,
        Some(short) => arg.long(short).visible_alias(flag.long.as_str()),
        None => arg
            .hide_short_help(true)
            .help_heading(flag.heading.as_str()),
    };
    if setting.is_switch {
        arg.num_args(0..=1).default_missing_value("true")
    } else {
        arg
    }
}

fn common(setting: &Setting) -> Option<&'static str> {
    let (_, short) = COMMON.iter().find(|(name, _)| *name == setting.name)?;
    Some(short)
}

/// The file that was named.
pub(super) fn file(matches: &ArgMatches) -> Option<PathBuf> {
    let file = matches.try_get_one::<PathBuf>(FILE).ok().flatten();
    file.cloned()
}

/// The settings that were given: full name, flag, value.
pub(super) fn given(matches: &ArgMatches) -> Vec<(&'static str, String, String)> {
    let mut given = Vec::new();
    for setting in SETTINGS {
        // A command may have only some of the flags.
        let Ok(Some(value)) = matches.try_get_one::<String>(setting.name) else {
            continue;
        };
        if matches.value_source(setting.name) == Some(ValueSource::CommandLine) {
            let flag = common(setting).map_or_else(|| setting.flag(), str::to_owned);
            given.push((setting.name, format!("--{flag}"), value.clone()));
        }
    }
    given
}
