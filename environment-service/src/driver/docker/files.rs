//! A node's log, which the engine keeps, and its files.

use std::io::Read;

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, LogsOptionsBuilder,
};
use futures::TryStreamExt;

use super::DockerDriver;
use super::engine::{CHANGE, EngineError, LOOK, within};
use super::label;
use super::label::Target;
use crate::driver::{LogFile, NodeAt, NodeError, Window};

/// The one log that a container has.
const LOG: &str = "container.log";
/// The most of a log that is gone through. What is made here has less.
const MOST_LOG: u64 = 64 << 20;
/// What an archive of one file has besides the file, at most.
const ARCHIVE: usize = 1 << 20;
/// The bits of a mode that say that something is no regular file.
const IRREGULAR: u32 = 0b1000_1111_0010_1000_0000_0000_0000_0000;

impl DockerDriver {
    /// The container of a node, whether it runs or not.
    async fn container(&self, node: NodeAt<'_>) -> Result<Option<ContainerSummary>, EngineError> {
        let target = match (&node.node.launch, &node.node.adopted) {
            (_, Some(key)) => Target::Compose(key.clone()),
            (Some(launch), None) => self.target(launch),
            (None, None) => Target::Name(label::container_name(&node.environment.name, node.node.id)),
        };
        self.look(&target).await
    }

    pub(super) async fn logs(&self, node: NodeAt<'_>) -> Result<Vec<LogFile>, NodeError> {
        let Some(container) = self.container(node).await? else { return Ok(Vec::new()) };
        let client = self.engine.client()?;
        let nothing = Window { from: Some(u64::MAX), count: 0 };
        let (size, _) = within(CHANGE, read_log(&client, &container.id.unwrap_or_default(), nothing)).await?;
        Ok(vec![LogFile { path: LOG.to_owned(), size, modified_at: None }])
    }

    pub(super) async fn read_log(&self, node: NodeAt<'_>, path: &str, window: Window) -> Result<Vec<u8>, NodeError> {
        if path != LOG {
            return Err(NodeError::NoFile);
        }
        let container = self.container(node).await?.ok_or(NodeError::NoFile)?;
        let client = self.engine.client()?;
        let (_, part) = within(CHANGE, read_log(&client, &container.id.unwrap_or_default(), window)).await?;
        Ok(part)
    }

    pub(super) async fn read_file(&self, node: NodeAt<'_>, path: &str, most: usize) -> Result<Vec<u8>, NodeError> {
        if path.is_empty() || path.contains('\0') {
            return Err(NodeError::NoFile);
        }
        let container = self.container(node).await?.ok_or(NodeError::NoFile)?;
        let id = container.id.unwrap_or_default();
        if node.node.adopted.is_some() {
            self.refuse_the_machine(&id).await?;
        }
        let client = self.engine.client()?;
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let about = match within(LOOK, client.get_container_archive_info(&id, Some(options))).await {
            Err(error) if !error.is_unreachable() => return Err(NodeError::NoFile),
            about => about?,
        };
        if about.file_mode & IRREGULAR != 0 {
            return Err(NodeError::NoFile);
        }
        let too_large = || NodeError::Refused(format!("the file is larger than {most} bytes"));
        if usize::try_from(about.size).is_ok_and(|size| size > most) {
            return Err(too_large());
        }
        let archive = within(CHANGE, download(&client, &id, path, most + ARCHIVE)).await?;
        let file = regular_file(&archive, most).map_err(|error| NodeError::Failed(error.into()))?;
        let file = file.ok_or(NodeError::NoFile)?;
        if file.len() > most { Err(too_large()) } else { Ok(file) }
    }
}

/// The size of a log, and a part of it.
async fn read_log(client: &Docker, id: &str, window: Window) -> Result<(u64, Vec<u8>), bollard::errors::Error> {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let mut parts = std::pin::pin!(client.logs(id, Some(options)));
    let (mut size, mut kept) = (0_u64, Vec::new());
    while let Some(part) = parts.try_next().await? {
        let bytes = part.as_ref();
        let begin = window.from.map_or(0, |from| usize::try_from(from.saturating_sub(size)).unwrap_or(usize::MAX));
        kept.extend_from_slice(bytes.get(begin..).unwrap_or_default());
        match window.from {
            Some(_) => kept.truncate(window.count),
            None => drop(kept.drain(..kept.len().saturating_sub(window.count))),
        }
        size += bytes.len() as u64;
        if size > MOST_LOG || (window.count > 0 && window.from.is_some() && kept.len() == window.count) {
            break;
        }
    }
    Ok((size, kept))
}

async fn download(client: &Docker, id: &str, path: &str, most: usize) -> Result<Vec<u8>, bollard::errors::Error> {
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut parts = std::pin::pin!(client.download_from_container(id, Some(options)));
    let mut archive = Vec::new();
    while archive.len() < most
        && let Some(part) = parts.try_next().await?
    {
        archive.extend_from_slice(&part);
    }
    Ok(archive)
}

/// The file that an archive begins with, and one byte more than is wanted at most. None where it is no regular one.
fn regular_file(archive: &[u8], most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(None);
    }
    let mut file = Vec::new();
    entry.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut file)?;
    Ok(Some(file))
}
