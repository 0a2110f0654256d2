//! A private certificate authority in a folder: for installations that have no other.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use zeroize::Zeroizing;

use crate::arguments::{Certs, Issue};

/// How far the clocks of two machines may be apart: a certificate is good from a little before it was made.
const SKEW: Duration = Duration::from_secs(5 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who may read a file.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

pub(super) fn run(command: Certs) -> anyhow::Result<()> {
    match command {
        Certs::Init { folder, name, days, force } => init(&folder, &name, days, force),
        Certs::Issue(issue) => self::issue(&issue),
    }
}

fn init(folder: &Path, name: &str, days: u32, force: bool) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| folder.display().to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = called(&format!("{name} CA"));
    // It vouches for services, not for other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    good_for(&mut params, days);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let files =
        [(folder.join("ca.key"), pem(&key), SECRET), (folder.join("ca.pem"), Zeroizing::new(certificate), PUBLIC)];
    write(&files, force)?;
    told(&files, "keep the key where no service runs: whoever has it is every service")
}

fn issue(issue: &Issue) -> anyhow::Result<()> {
    let Issue { folder, name, hosts, days, out, force } = issue;
    let read = |file: &str| {
        let path = folder.join(file);
        let read = std::fs::read_to_string(&path).map(Zeroizing::new);
        read.with_context(|| format!("{}: `portcullis certs init` makes an authority", path.display()))
    };
    let authority_key = KeyPair::from_pem(&read("ca.key")?).context("ca.key")?;
    let issuer = Issuer::from_ca_cert_pem(&read("ca.pem")?, authority_key).context("ca.pem")?;

    // The name is one of the subject's names, beside those that it is reached at: by it services know each other.
    let mut names = vec![name.clone()];
    names.extend(hosts.iter().filter(|host| *host != name).cloned());
    let mut params = CertificateParams::new(names).context("a host is no name and no address")?;
    params.distinguished_name = called(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    good_for(&mut params, *days);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let out = out.as_deref().unwrap_or(folder);
    let files = [
        (out.join(format!("{name}.key")), pem(&key), SECRET),
        (out.join(format!("{name}.pem")), Zeroizing::new(certificate), PUBLIC),
    ];
    write(&files, *force)?;
    told(&files, "the key is the service's alone")
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn good_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - SKEW).into();
    params.not_after = (now + DAY * days).into();
}

fn pem(key: &KeyPair) -> Zeroizing<String> {
    Zeroizing::new(key.serialize_pem())
}

/// Writes each file, whole or not at all; one that is there is replaced only where that was said.
fn write(files: &[(PathBuf, Zeroizing<String>, u32)], force: bool) -> anyhow::Result<()> {
    if let Some((there, ..)) = files.iter().find(|(file, ..)| !force && file.exists()) {
        bail!("{} is there already: --force replaces it", there.display());
    }
    let beside = |file: &Path| file.with_added_extension("new");
    for (file, content, mode) in files {
        write_new(&beside(file), content, *mode).with_context(|| file.display().to_string())?;
    }
    for (file, ..) in files {
        let placed = if force { std::fs::rename(beside(file), file) } else { place(&beside(file), file) };
        placed.with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn write_new(file: &Path, content: &str, mode: u32) -> io::Result<()> {
    // What an earlier run has left may be readable for others.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// Unlike a renaming, a link replaces nothing that has come meanwhile.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

fn told(files: &[(PathBuf, Zeroizing<String>, u32)], hint: &str) -> anyhow::Result<()> {
    for (file, ..) in files {
        crate::output::line(&file.display().to_string())?;
    }
    eprintln!("{hint}");
    Ok(())
}
