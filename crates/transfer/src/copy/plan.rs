//! Which images go where: found out before anything is copied.
//!
//! A repository keeps its name up to the part that the destination replaces:
//! what stands before the last slash that comes before the first wildcard of
//! the pattern. `old:5000/team/*` to `acme/` makes `acme/web` of `team/web`,
//! and `old:5000/*` to `acme/` makes `acme/team/web` of it.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream};
use landfall_oci::Tag;

use super::{
    Outcome, Request, Selection, WantedPlatform,
    open::{self, Destinations},
};
use crate::{
    Destination, Error, Limits, Names, Pattern, Place, RegistryPlace, Repository, Source, Wanted,
    copy::ImageReport,
    registry::{self, Registry, RegistryRepository},
};

/// How many repositories are asked for their tags at once.
const WIDTH: usize = 8;

/// The tag that is meant when none is given.
const LATEST: &str = "latest";

/// Images, and where each goes.
pub struct Plan {
    pub(super) items: Vec<Item>,
    /// What could not be planned.
    pub(super) failed: Vec<ImageReport>,
    pub(super) platform: Option<WantedPlatform>,
    pub(super) referrers: bool,
    pub(super) jobs: usize,
    pub(super) limits: Limits,
}

/// One image of a plan.
#[derive(Clone)]
pub struct Item {
    /// Where it comes from, as people write it.
    pub from: String,
    /// Where it goes.
    pub to: String,
    pub(super) source: Arc<dyn Source>,
    pub(super) wanted: Wanted,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) name: Option<String>,
}

impl Plan {
    /// The images that will be copied.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What could not be planned, such as a repository that can't be read.
    pub fn failed(&self) -> &[ImageReport] {
        &self.failed
    }
}

/// A repository to look at, and the tag if one is given.
struct Listed {
    repository: Repository,
    tag: Option<String>,
}

/// Finds out what there is to do.
pub async fn plan(request: Request) -> Result<Plan, Error> {
    let limits = request.source_access.limits.clone();
    let (items, failed) = match &request.source {
        Place::Registry(place) => from_registry(&request, place, &limits).await?,
        _ => (from_local(&request, &limits).await?, Vec::new()),
    };
    check_names(&items)?;
    Ok(Plan {
        items,
        failed,
        platform: request.platform,
        referrers: request.referrers,
        jobs: request.jobs,
        limits,
    })
}

/// Refuses two images under one name.
fn check_names(items: &[Item]) -> Result<(), Error> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for item in items.iter().filter(|item| item.name.is_some()) {
        if let Some(other) = names.insert(&item.to, &item.from)
            && other != item.from
        {
            return Err(Error::Refused(format!(
                "`{other}` and `{}` would both become `{}`",
                item.from, item.to
            )));
        }
    }
    Ok(())
}

/// The name that the destination gives, if it gives one.
fn given_name(place: &Place) -> Option<String> {
    match place {
        Place::Registry(place) => place.tag.as_ref().map(ToString::to_string),
        Place::Layout { name, .. } | Place::LayoutArchive { name, .. } => name.clone(),
        Place::DockerArchive { reference, .. } => reference.as_ref().map(|reference| {
            let last = reference.rsplit('/').next().unwrap_or(reference);
            if last.contains(':') {
                reference.clone()
            } else {
                format!("{reference}:{LATEST}")
            }
        }),
        Place::Directory { .. } => None,
    }
}

fn refuse_name_for_many(place: &Place) -> Result<(), Error> {
    match given_name(place) {
        Some(name) => Err(Error::Refused(format!(
            "several images can't all be called `{name}`; leave the name of the destination away"
        ))),
        None => Ok(()),
    }
}

/// The tag in a name: the name itself, or what stands behind its last colon.
fn tag_in(name: &str) -> Option<String> {
    let last = name.rsplit(':').next().unwrap_or(name);
    let is_tag = |text: &&str| text.parse::<Tag>().is_ok();
    [name, last].into_iter().find(is_tag).map(str::to_owned)
}

async fn from_registry(
    request: &Request,
    place: &RegistryPlace,
    limits: &Limits,
) -> Result<(Vec<Item>, Vec<ImageReport>), Error> {
    let selection = &request.selection;
    let registry = Registry::connect(&request.source_access, place.host.as_deref()).await?;
    let registry = Arc::new(registry);
    let host = open::shown_host(place.host.as_deref());
    let is_one = matches!(place.names, Names::One(_)) && selection.repositories.is_none();
    let (listed, cut) = repositories(&registry, place, selection).await?;
    let is_many = !is_one || selection.is_many();
    if is_many {
        refuse_name_for_many(&request.destination)?;
    }
    if selection.is_many() && (place.tag.is_some() || place.digest.is_some()) {
        return Err(Error::Refused(
            "the source names one image, so there are no tags to choose from".to_owned(),
        ));
    }
    let access = &request.destination_access;
    let target = open::target(&request.destination, access, limits, !is_one).await?;
    let destinations = Destinations::new(target, limits.clone());
    let found = stream::iter(listed).map(|listed| {
        let (registry, destinations, host, cut) = (&registry, &destinations, &host, cut.as_str());
        async move {
            let from = format!("{host}{}", listed.repository);
            let items = repository(registry, place, request, destinations, &listed, cut, host);
            items.await.map_err(|error| (from, error))
        }
    });
    let found: Vec<_> = found.buffered(WIDTH).collect().await;
    let (mut items, mut failed) = (Vec::new(), Vec::new());
    for each in found {
        match each {
            Ok(more) => items.extend(more),
            Err((_, error)) if is_one => return Err(error),
            Err((from, error)) => failed.push(ImageReport {
                source: from,
                destination: String::new(),
                digest: None,
                outcome: Outcome::Failed,
                error: Some(error.to_string()),
                content: super::Tally::default(),
            }),
        }
    }
    Ok((items, failed))
}

/// The repositories that are meant, and what is cut off their names.
async fn repositories(
    registry: &Registry,
    place: &RegistryPlace,
    selection: &Selection,
) -> Result<(Vec<Listed>, String), Error> {
    let pattern = match &place.names {
        Names::One(repository) => {
            if selection.repositories.is_some() {
                return Err(Error::Refused(
                    "a list of repositories needs a source for many, such as `docker://HOST/`"
                        .to_owned(),
                ));
            }
            let name = repository.as_str();
            let cut = name.rfind('/').map_or("", |slash| &name[..=slash]);
            let listed = Listed {
                repository: repository.clone(),
                tag: None,
            };
            return Ok((vec![listed], cut.to_owned()));
        }
        Names::Matching(pattern) => pattern.clone(),
        Names::Below(prefix) => format!("{prefix}*")
            .parse::<Pattern>()
            .map_err(|error| Error::Refused(error.to_string()))?,
    };
    let all = if let Some(lines) = &selection.repositories {
        let lines = lines.iter().map(|line| listed(line));
        lines.collect::<Result<Vec<_>, _>>()?
    } else {
        let whole = |repository| Listed {
            repository,
            tag: None,
        };
        let all = registry::catalog(registry).await?;
        all.into_iter().map(whole).collect()
    };
    let kept: Vec<Listed> = all
        .into_iter()
        .filter(|listed| pattern.matches(listed.repository.as_str()))
        .collect();
    if kept.is_empty() {
        return Err(Error::Missing(format!(
            "no repository matches `{pattern}`; a registry may list only some of them, then name \
             them in a file with `--from-file`"
        )));
    }
    Ok((kept, pattern.folder().to_owned()))
}

/// A line of a list of repositories: `name` or `name:tag`.
fn listed(line: &str) -> Result<Listed, Error> {
    let (name, tag) = match line.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (line, None),
    };
    let wrong = |why: String| Error::Refused(format!("the list of repositories: {why}"));
    let tag = tag.map(|tag| tag.parse::<Tag>().map(|tag| tag.to_string()));
    Ok(Listed {
        repository: name.parse().map_err(wrong)?,
        tag: tag.transpose().map_err(|error| wrong(error.to_string()))?,
    })
}

/// The images of one repository.
async fn repository(
    registry: &Arc<Registry>,
    place: &RegistryPlace,
    request: &Request,
    destinations: &Destinations,
    listed: &Listed,
    cut: &str,
    host: &str,
) -> Result<Vec<Item>, Error> {
    let name = &listed.repository;
    let rest = name.as_str().strip_prefix(cut).unwrap_or(name.as_str());
    let (destination, to) = destinations.of(Some(rest))?;
    let source = RegistryRepository::new(Arc::clone(registry), name.clone());
    let source: Arc<dyn Source> = Arc::new(source);
    let selection = &request.selection;
    let is_one = matches!(place.names, Names::One(_));
    let wanted: Vec<Wanted> = match &listed.tag {
        Some(tag) if selection.wants(tag) => vec![Wanted::Name(tag.clone())],
        Some(_) => Vec::new(),
        None if is_one && !selection.is_many() => vec![place.wanted()],
        None => {
            let tags = registry::tags(registry, name).await?;
            let tags = tags.iter().map(ToString::to_string);
            tags.filter(|tag| selection.wants(tag))
                .map(Wanted::Name)
                .collect()
        }
    };
    if wanted.is_empty() && is_one {
        return Err(Error::Missing(format!(
            "`{host}{name}` has no tag that is wanted"
        )));
    }
    let given = given_name(&request.destination);
    let items = wanted.into_iter().map(|wanted| {
        let tag = match &wanted {
            Wanted::Only => Some(LATEST.to_owned()),
            Wanted::Name(tag) => Some(tag.clone()),
            Wanted::Digest(_) => place.tag.as_ref().map(ToString::to_string),
        };
        let shown = match &wanted {
            Wanted::Digest(digest) => format!("@{digest}"),
            _ => format!(":{}", tag.as_deref().unwrap_or(LATEST)),
        };
        let name_there = given.clone().or_else(|| match &request.destination {
            Place::DockerArchive { .. } => tag.as_ref().map(|tag| {
                let host = place.host.as_ref().map(|host| format!("{host}/"));
                format!("{}{name}:{tag}", host.unwrap_or_default())
            }),
            Place::Directory { .. } => None,
            _ => tag.clone(),
        });
        Item {
            from: format!("{host}{name}{shown}"),
            to: at(&to, name_there.as_deref(), &wanted),
            source: Arc::clone(&source),
            destination: Arc::clone(&destination),
            name: name_there,
            wanted,
        }
    });
    Ok(items.collect())
}

/// A place with the name that an image has there.
fn at(place: &str, name: Option<&str>, wanted: &Wanted) -> String {
    match (name, wanted) {
        (Some(name), _) => format!("{place}:{name}"),
        (None, Wanted::Digest(digest)) if !place.starts_with("dir:") => {
            format!("{place}@{digest}")
        }
        _ => place.to_owned(),
    }
}

/// The images of a place on this machine.
async fn from_local(request: &Request, limits: &Limits) -> Result<Vec<Item>, Error> {
    let selection = &request.selection;
    let source = open::reader(&request.source, limits).await?;
    let source = source.ok_or_else(|| Error::Refused("a registry is no file".to_owned()))?;
    if selection.repositories.is_some() {
        return Err(Error::Refused(
            "a list of repositories needs a registry as the source".to_owned(),
        ));
    }
    let wanted_name = match &request.source {
        Place::Layout { name, .. } | Place::LayoutArchive { name, .. } => name.clone(),
        Place::DockerArchive { reference, .. } => reference.clone(),
        _ => None,
    };
    let names = source.names().await?;
    let wanted: Vec<Wanted> = if selection.is_many() {
        refuse_name_for_many(&request.destination)?;
        let kept = names.iter().filter(|name| {
            let tag = tag_in(name);
            selection.wants(tag.as_deref().unwrap_or(name))
        });
        kept.cloned().map(Wanted::Name).collect()
    } else {
        vec![wanted_name.map_or(Wanted::Only, Wanted::Name)]
    };
    if wanted.is_empty() {
        return Err(Error::Missing(format!(
            "{} has no image with a name that is wanted",
            source.place()
        )));
    }
    let access = &request.destination_access;
    let target = open::target(&request.destination, access, limits, false).await?;
    let destinations = Destinations::new(target, limits.clone());
    let (destination, to) = destinations.of(None)?;
    let given = given_name(&request.destination);
    let is_registry = matches!(request.destination, Place::Registry(_));
    let is_directory = matches!(request.destination, Place::Directory { .. });
    let mut items = Vec::new();
    for wanted in wanted {
        let own = match (&wanted, &names[..]) {
            (Wanted::Name(name), _) => Some(name.clone()),
            (_, [only]) => Some(only.clone()),
            _ => None,
        };
        let name = given.clone().or_else(|| match &own {
            _ if is_directory => None,
            Some(own) if is_registry => Some(tag_in(own).unwrap_or_else(|| LATEST.to_owned())),
            Some(own) => Some(own.clone()),
            None => is_registry.then(|| LATEST.to_owned()),
        });
        let form = match &request.source {
            Place::Layout { path, .. } => format!("oci:{}", path.display()),
            Place::LayoutArchive { path, .. } => format!("oci-archive:{}", path.display()),
            Place::DockerArchive { path, .. } => format!("docker-archive:{}", path.display()),
            Place::Directory { path } => format!("dir:{}", path.display()),
            Place::Registry(_) => source.place(),
        };
        items.push(Item {
            from: at(&form, own.as_deref(), &wanted),
            to: at(&to, name.as_deref(), &wanted),
            source: Arc::clone(&source),
            destination: Arc::clone(&destination),
            name,
            wanted,
        });
    }
    Ok(items)
}
