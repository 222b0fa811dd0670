//! Places become sources and destinations.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Access, Destination, Error, Limits, Names, Place, Repository, Source,
    local::{
        DirectoryReader, DirectoryWriter, DockerReader, DockerWriter, LayoutReader, LayoutWriter,
    },
    registry::{Registry, RegistryRepository},
};

/// Opens a place on this machine to read from it; nothing for a registry.
pub(super) async fn reader(
    place: &Place,
    limits: &Limits,
) -> Result<Option<Arc<dyn Source>>, Error> {
    Ok(Some(match place {
        Place::Registry(_) => return Ok(None),
        Place::Layout { path, .. } => Arc::new(LayoutReader::folder(path, limits).await?),
        Place::LayoutArchive { path, .. } => Arc::new(LayoutReader::archive(path, limits).await?),
        Place::DockerArchive { path, .. } => Arc::new(DockerReader::open(path, limits).await?),
        Place::Directory { path } => Arc::new(DirectoryReader::open(path, limits).await?),
    }))
}

/// Where images go.
pub(super) enum Target {
    /// To repositories of a registry.
    Registry {
        registry: Arc<Registry>,
        names: Names,
        /// As people write it, up to the name.
        shown: String,
    },
    /// Into layouts below a folder, one for each repository.
    Layouts { folder: std::path::PathBuf },
    /// Into one place, which is named so.
    One {
        destination: Arc<dyn Destination>,
        shown: String,
    },
}

/// Opens the destination.
pub(super) async fn target(
    place: &Place,
    access: &Access,
    limits: &Limits,
    has_several_repositories: bool,
) -> Result<Target, Error> {
    let one = |destination: Arc<dyn Destination>, form: &str, path: &Path| Target::One {
        destination,
        shown: format!("{form}:{}", path.display()),
    };
    let refuse_many = |form: &str| {
        if has_several_repositories {
            Err(Error::Refused(format!(
                "several repositories don't go into one {form}; use a registry or `oci:PATH`"
            )))
        } else {
            Ok(())
        }
    };
    match place {
        Place::Registry(place) => {
            if place.digest.is_some() {
                return Err(Error::Refused(
                    "a destination has a tag or nothing; its digest is that of the source"
                        .to_owned(),
                ));
            }
            if let Names::Matching(pattern) = &place.names {
                return Err(Error::Refused(format!(
                    "the destination `{pattern}` is a pattern; end it with `/` to put all below it"
                )));
            }
            if has_several_repositories && matches!(place.names, Names::One(_)) {
                return Err(Error::Refused(
                    "several repositories don't go into one; end the destination with `/` to put \
                     all below it"
                        .to_owned(),
                ));
            }
            let registry = Registry::connect(access, place.host.as_deref()).await?;
            Ok(Target::Registry {
                registry: Arc::new(registry),
                names: place.names.clone(),
                shown: shown_host(place.host.as_deref()),
            })
        }
        Place::Layout { path, .. } if has_several_repositories => Ok(Target::Layouts {
            folder: path.clone(),
        }),
        Place::Layout { path, .. } => {
            let writer = LayoutWriter::folder(path, limits)?;
            Ok(one(Arc::new(writer), "oci", path))
        }
        Place::LayoutArchive { path, .. } => {
            refuse_many("archive")?;
            let writer = LayoutWriter::archive(path, limits)?;
            Ok(one(Arc::new(writer), "oci-archive", path))
        }
        Place::DockerArchive { path, .. } => {
            refuse_many("archive")?;
            let writer = DockerWriter::open(path, limits)?;
            Ok(one(Arc::new(writer), "docker-archive", path))
        }
        Place::Directory { path } => {
            refuse_many("directory")?;
            let writer = DirectoryWriter::open(path)?;
            Ok(one(Arc::new(writer), "dir", path))
        }
    }
}

/// How a registry's names begin when people write them.
pub(super) fn shown_host(host: Option<&str>) -> String {
    host.map(|host| format!("docker://{host}/"))
        .unwrap_or_default()
}

/// The destinations of one copy, each opened once.
pub(super) struct Destinations {
    target: Target,
    limits: Limits,
    /// Those that were asked for. Held for look-ups.
    open: Mutex<HashMap<String, Arc<dyn Destination>>>,
}

impl Destinations {
    pub(super) fn new(target: Target, limits: Limits) -> Self {
        Self {
            target,
            limits,
            open: Mutex::default(),
        }
    }

    /// Where the images of a repository go, and what people call that. `rest`
    /// is its name without what the destination replaces.
    pub(super) fn of(&self, rest: Option<&str>) -> Result<(Arc<dyn Destination>, String), Error> {
        match &self.target {
            Target::One { destination, shown } => Ok((Arc::clone(destination), shown.clone())),
            Target::Layouts { folder } => {
                let rest = rest.unwrap_or_default();
                let path = folder.join(rest);
                let shown = format!("oci:{}", path.display());
                let made = || Ok(Arc::new(LayoutWriter::folder(&path, &self.limits)?) as _);
                Ok((self.once(rest, made)?, shown))
            }
            Target::Registry {
                registry,
                names,
                shown,
            } => {
                let name = match (names, rest) {
                    (Names::One(name), _) => name.clone(),
                    (Names::Below(prefix), Some(rest)) => named(&format!("{prefix}{rest}"))?,
                    _ => {
                        return Err(Error::Refused(
                            "the source has no repository whose name could be kept; name the \
                             destination's"
                                .to_owned(),
                        ));
                    }
                };
                let shown = format!("{shown}{name}");
                let made = || {
                    let (registry, name) = (Arc::clone(registry), name.clone());
                    Ok(Arc::new(RegistryRepository::new(registry, name)) as _)
                };
                Ok((self.once(name.as_str(), made)?, shown))
            }
        }
    }

    fn once(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<Arc<dyn Destination>, Error>,
    ) -> Result<Arc<dyn Destination>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(key) {
            return Ok(Arc::clone(known));
        }
        let opened = make()?;
        open.insert(key.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }
}

/// The name of a repository at the destination.
fn named(text: &str) -> Result<Repository, Error> {
    text.parse()
        .map_err(|error| Error::Refused(format!("no repository of the destination: {error}")))
}
