//! The disk of a server fills up while somebody writes. Each server gets a small file system of its own
//! (tmpfs), for which the tests must run as root; else they say so and do nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use stack::{PrivateServers, Server};
use system_tests::{Deployment, ScheduleApi, eventually};

use crate::load::Load;

/// The size of the file system, which holds a fresh server and what a test writes.
const SIZE: &str = "size=400m";

/// A small file system with the data of a stopped server.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Moves what is in `folder` to one; none where this process may not mount.
    fn under(folder: PathBuf) -> Option<Self> {
        let was = folder.with_extension("was");
        fs::rename(&folder, &was).unwrap();
        fs::create_dir(&folder).unwrap();
        if !run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(&folder))
        {
            eprintln!(
                "SKIPPED: no tmpfs can be mounted here (are you root?), so no disk can be full"
            );
            return None;
        }
        let disk = Self { folder };
        for program in ["chown", "chmod"] {
            let mut same = Command::new(program);
            same.arg("--reference").arg(&was).arg(&disk.folder);
            assert!(run(&mut same));
        }
        let mut copy = Command::new("cp");
        assert!(run(copy.arg("-a").arg(was.join(".")).arg(&disk.folder)));
        Some(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever works in it may be about to end.
        run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

async fn on_a_small_disk(server: &Server, folder: &Path) -> Option<SmallDisk> {
    server.stop().await.unwrap();
    let disk = SmallDisk::under(folder.to_owned())?;
    server.restart().await.unwrap();
    Some(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_disk_is_full_loses_no_answered_write() {
    let servers = PrivateServers::start().await.unwrap();
    let folder = servers.folder().join("postgres/data");
    let Some(disk) = on_a_small_disk(&servers.postgres, &folder).await else {
        return;
    };
    let deployment = Deployment::on(servers.backends(), |builder| builder).await;
    let load = Load::on(&deployment).await;
    load.more(15).await;
    disk.fill();
    let schedules = ScheduleApi::new(deployment.system.schedule_url());
    let mut number = 0;
    eventually("a write is refused", async || {
        number += 1;
        let patch = json!({"name": format!("Full {number}")});
        let answer = schedules.try_patch(&load.ids[0], &patch).await.ok()?;
        (answer.status >= 500).then_some(())
    })
    .await;
    disk.free();
    // It may have ended itself over its log.
    servers.postgres.restart().await.unwrap();
    load.more(15).await;
    load.nothing_is_lost(&deployment).await;
    servers.discard().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_disk_is_full_holds_up_no_write_and_loses_none() {
    let servers = PrivateServers::start().await.unwrap();
    let folder = servers.folder().join("rabbitmq/data");
    let Some(disk) = on_a_small_disk(&servers.rabbitmq, &folder).await else {
        return;
    };
    let deployment = Deployment::on(servers.backends(), |builder| builder).await;
    let load = Load::on(&deployment).await;
    load.more(15).await;
    disk.fill();
    load.more(100).await;
    disk.free();
    // It has ended itself, or is so far gone that it does not end in order.
    servers.rabbitmq.process().kill().await.unwrap();
    servers.rabbitmq.restart().await.unwrap();
    let mend = include_str!("../../../mend-stream.erl");
    servers.rabbitmq.control(&["eval", mend]).await.unwrap();
    load.more(15).await;
    load.nothing_is_lost(&deployment).await;
    servers.discard().await.unwrap();
}
