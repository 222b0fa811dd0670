//! What can be typed after `landfall image copy`.

use std::path::PathBuf;

use clap::Args;
use landfall_transfer::{Login, WantedPlatform};

/// What the short help shows.
pub(crate) const EXAMPLES: &str = "Examples:
  landfall image copy docker://docker.io/library/debian:12 acme/debian:12
  landfall image copy --all-tags docker://old:5000/team/web acme/
  landfall image copy --dry-run 'docker://old:5000/team/*' acme/
  landfall image copy --referrers acme/web:1 oci:./web

Places: docker://HOST/NAME[:TAG], ACCOUNT/NAME[:TAG] (at --server), oci:PATH,
oci-archive:FILE, docker-archive:FILE, dir:PATH. More with --help.";

/// What the long help adds.
pub(crate) const HELP: &str = "Places:
  docker://HOST/NAME[:TAG][@DIGEST]  any OCI registry
  ACCOUNT/NAME[:TAG][@DIGEST]        the Landfall server of --server
  oci:PATH[:NAME]                    a folder in the OCI image layout
  oci-archive:FILE[:NAME]            the same as a tar archive
  docker-archive:FILE[:NAME:TAG]     what `docker save` writes; gzip is read too
  dir:PATH                           one image as files, as skopeo writes it

In a name, `*` stands for anything and `?` for one letter, and a `/` at the end
for everything below. A repository keeps its name behind the last `/` before
the first wildcard; the destination replaces what stands before:
`docker://old/team/*` to `acme/` makes `acme/web` of `team/web`, and
`docker://old/*` to `acme/` makes `acme/team/web` of it.

Manifests are copied byte by byte, so digests stay. A docker archive has no
manifests: an image copied into one and back has another digest.

A copy that was interrupted goes on when it is started again: what is there is
skipped, and partial files of layouts, archives and directories are continued.
It runs on this machine and speaks the registries' own protocol: of all that
Landfall does, this alone is not done by the server's API.

Logins are those of --src-creds and --dst-creds (or LANDFALL_SRC_CREDS and
LANDFALL_DST_CREDS), for the Landfall server LANDFALL_USER and
LANDFALL_PASSWORD, else those that docker, podman or skopeo have saved.

Examples:
  landfall image copy docker://docker.io/library/debian:12 acme/debian:12
  landfall image copy --platform linux/arm64 acme/web:1 docker-archive:web.tar
  landfall image copy --referrers acme/web:1 oci:./web

Migration from docker-registry, all repositories with all tags:
  landfall image copy --dry-run 'docker://old:5000/*' acme/
  landfall image copy 'docker://old:5000/*' acme/

From a project of Harbor, with a robot's login and signatures:
  landfall image copy --src-creds robot$web:SECRET --referrers \\
    'docker://harbor.example/web/*' acme/

From ECR, with a list of names (aws ecr describe-repositories makes one):
  landfall image copy --src-creds AWS:$TOKEN --from-file names.txt \\
    docker://1234.dkr.ecr.eu-central-1.amazonaws.com/ acme/

Exit status: 0 if all is at the destination, 1 if something failed, 130 if the
copy was interrupted.";

/// What to copy where, and how.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where from
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
    /// Where to
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,
    /// Every tag of the repository or image of the archive
    #[arg(long)]
    pub(super) all_tags: bool,
    /// Tags that match, with `*` and `?`; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(super) tags: Vec<String>,
    /// Not the tags that match; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(super) exclude: Vec<String>,
    /// The repositories of the source, one on a line, each `NAME` or
    /// `NAME:TAG`, for a registry that doesn't list them; `-` reads them from
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub(super) from_file: Option<PathBuf>,
    /// The image of one platform instead of the whole index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<WantedPlatform>,
    /// Signatures, attestations and all else that refers to an image, too
    #[arg(long)]
    pub(super) referrers: bool,
    /// How many layers are copied at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Only tell what would be copied where
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Whom to log in as at the source, and the password
    #[arg(long, value_name = "USER:PASSWORD", env = "LANDFALL_SRC_CREDS")]
    #[arg(hide_env_values = true)]
    pub(super) src_creds: Option<Login>,
    /// Whom to log in as at the destination, and the password
    #[arg(long, value_name = "USER:PASSWORD", env = "LANDFALL_DST_CREDS")]
    #[arg(hide_env_values = true)]
    pub(super) dst_creds: Option<Login>,
    /// Speak plain HTTP with the source; on this machine it is tried anyway
    #[arg(long)]
    pub(super) src_plain_http: bool,
    /// Speak plain HTTP with the destination
    #[arg(long)]
    pub(super) dst_plain_http: bool,
}
