//! `sunkeep join`: puts what a hub was given to join a fleet where it belongs. All of it, or nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sunkeep_models::bundle::{Bundle, MOST_BYTES};

use super::{CliError, ConfigFile};
use crate::config::Home;

/// Join a fleet with the file that its operator made for this hub; the same again renews its certificate.
#[derive(Debug, clap::Args)]
pub(super) struct Join {
    /// The file, as `sunkeep-fleet provision` writes it
    bundle: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
}

impl Join {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let text = read(&self.bundle)?;
        let bundle: Bundle = match toml::from_str(&text) {
            Ok(bundle) => bundle,
            // The text holds a secret, so none of it is shown.
            Err(error) => {
                println!("{}: no bundle of a hub: {}", self.bundle.display(), error.message());
                return Ok(ExitCode::FAILURE);
            }
        };
        let config = &self.file.config;
        let home = Home::read(config)?;
        let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).map_err(|source| failed(folder, "finding it", source))?;
        let files =
            [("fleet-ca.pem", &bundle.ca), ("hub.pem", &bundle.certificate), ("hub.key", &bundle.key)]
                .map(|(name, text)| (folder.join(name), text));
        let table = table(&bundle, &files.each_ref().map(|(path, _)| path.as_path()));
        let joined = match &home.uplink {
            None => Some(format!("{}\n{table}", home.text.trim_end())),
            Some(uplink) if uplink.hub == bundle.hub && uplink.site == bundle.site => None,
            Some(uplink) => {
                println!(
                    "{}: its [uplink] is that of hub {:?} of site {:?}, and the bundle is for {:?} of {:?}: remove the \
                     table first, if that is meant",
                    config.display(),
                    uplink.hub,
                    uplink.site,
                    bundle.hub,
                    bundle.site
                );
                return Ok(ExitCode::FAILURE);
            }
        };
        if let Some(joined) = &joined {
            // Refused now, before anything was written.
            Home::parse(&config.display().to_string(), joined)?;
        }
        for (path, text) in &files {
            write(path, text)?;
        }
        match joined {
            Some(joined) => {
                write(config, &joined)?;
                println!(
                    "{}: the hub {} of {} has joined; restart it",
                    config.display(),
                    bundle.hub,
                    bundle.broker
                );
            }
            None => println!("the certificate of {} is renewed; restart it", bundle.hub),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn failed(path: &Path, doing: &str, source: std::io::Error) -> CliError {
    CliError::System { what: format!("{}: {doing}", path.display()), source }
}

fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let file = File::open(path).map_err(|source| failed(path, "opening it", source))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|source| failed(path, "reading it", source))?;
    Ok(text)
}

/// The table of the configuration.
fn table(bundle: &Bundle, [ca, certificate, key]: &[&Path; 3]) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let path = |path: &Path| quoted(&path.display().to_string());
    let rows = [
        ("broker", quoted(&bundle.broker)),
        ("site", quoted(&bundle.site)),
        ("hub", quoted(&bundle.hub)),
        ("ca", path(ca)),
        ("certificate", path(certificate)),
        ("key", path(key)),
    ];
    let rows = rows.map(|(key, value)| format!("{key} = {value}\n"));
    format!("\n[uplink]\n{}", rows.concat())
}

/// Writes a file that is its owner's alone, in place of what is there: after a power cut the old or the new one.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mode = std::fs::metadata(path)
        .map_or(0o600, |data| std::os::unix::fs::PermissionsExt::mode(&data.permissions()));
    let mode = if path.extension().is_some_and(|end| end == "key") { 0o600 } else { mode & 0o777 };
    // One that was left over by a power cut may bear another mode.
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new);
    let mut file = file.map_err(|source| failed(&new, "making it", source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| failed(&new, "writing it", source))?;
    std::fs::rename(&new, path).map_err(|source| failed(path, "renaming its new version", source))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed(folder, "syncing it", source))
}
