//! A node without a node: settings and host facts for a document, made from a few bytes.

use crate::naive_paths::{clean, is_in, through};
use runc_guard::config::{Config, OnError, Policy};
use runc_guard::host::restore::{LostMask, RestoreView};
use runc_guard::host::spelling::Spelling;
use runc_guard::host::{HostView, Root, Rootfs, Source};
use runc_guard::invocation::{Command, Flavour};
use runc_guard::mountinfo::Place;
use runc_guard::plan::Plan;
use runc_guard::rules::{self, Facts};
use runc_guard::spec::{Mount, Spec};
use std::path::PathBuf;

/// How many bytes choose a node.
pub const CHOICE_BYTES: usize = 6;

/// All zero is the plain node: runc, create, nothing missing.
#[derive(Clone, Debug)]
pub struct Node {
    pub flavour: Flavour,
    pub command: Command,
    pub config: Config,
    pub roots: Vec<String>,
    pub respells: bool,
    pub bare_mountpoints: bool,
    pub parent_shared: Option<bool>,
    pub rootfs_is_mountpoint: bool,
    pub rootfs_is_read_only: bool,
    pub lost_masks: Vec<&'static str>,
}

/// A source below it is another mount of the first root's files.
const ALIAS: &str = "/alias";
const DEVICE: (u32, u32) = (8, 1);

impl Node {
    #[must_use]
    pub fn of([flavour, command, policy, rules, host, restore]: [u8; CHOICE_BYTES]) -> Node {
        let bit = |byte: u8, index: u8| byte & (1 << index) != 0;
        let mut config = Config {
            policy: [Policy::Rewrite, Policy::Rewrite, Policy::Reject, Policy::Warn][usize::from(policy % 4)],
            on_error: if bit(policy, 3) { OnError::Fail } else { OnError::Pass },
            force_rro: bit(policy, 4),
            allow_opt_out: rules::NAMES.iter().filter(|_| bit(policy, 5)).map(|name| (*name).to_owned()).collect(),
            ..Config::default()
        };
        for (index, rule) in config.rules.iter_mut().enumerate() {
            rule.enabled = rules & (1 << index) == 0;
        }
        let own_roots = if bit(host, 0) { vec!["/srv/a b", "/"] } else { vec!["/var/lib/kubelet", "/run/containerd", "/alias-not"] };
        Node {
            flavour: [Flavour::Runc, Flavour::Crun, Flavour::Youki][usize::from(flavour % 3)],
            command: [Command::Create, Command::Run, Command::Restore][usize::from(command % 3)],
            config,
            roots: own_roots.into_iter().map(str::to_owned).collect(),
            respells: !bit(host, 1),
            bare_mountpoints: bit(host, 2),
            parent_shared: [Some(true), Some(true), None, Some(false)][usize::from(host >> 4) % 4],
            rootfs_is_mountpoint: !bit(host, 3),
            rootfs_is_read_only: bit(restore, 0),
            lost_masks: if bit(restore, 1) { vec!["/run/crun/.empty-directory", "/gone/\"x\"/.empty-directory"] } else { Vec::new() },
        }
    }

    /// Where a source leads on this host: `/lnk` is a symlink.
    #[must_use]
    pub fn resolved(&self, source: &str) -> String {
        let absolute = if source.starts_with('/') { clean(source) } else { clean(&format!("/bundle/{source}")) };
        through(&absolute, "/lnk", "/var/lib/kubelet")
    }

    /// Where a destination leads in this container: `/var/run` is a symlink.
    #[must_use]
    pub fn mountpoint(&self, destination: &str) -> String {
        through(&clean(destination), "/var/run", "/run")
    }

    /// Whether the host has a directory there.
    #[must_use]
    pub fn is_directory(&self, resolved: &str) -> bool {
        !resolved.ends_with("file")
    }

    #[must_use]
    pub fn is_alias(&self, resolved: &str) -> bool {
        is_in(resolved, ALIAS)
    }

    fn source(&self, mount: &Mount<'_>) -> Option<Source> {
        let path = self.resolved(mount.source.as_deref().filter(|source| mount.is_bind() && !source.is_empty())?);
        let place = |path: &String| Place { device: DEVICE, path: PathBuf::from(through(path, ALIAS, &self.roots[0])) };
        let places = if self.is_alias(&path) { vec![place(&path)] } else { Vec::new() };
        self.is_directory(&path).then(|| Source {
            is_bare_mountpoint: self.bare_mountpoints,
            mount_id: Some(1),
            parent_shared: self.parent_shared,
            places,
            path: PathBuf::from(path),
        })
    }

    fn spelling(&self, mount: &Mount<'_>) -> Spelling {
        let source = mount.source.as_deref().filter(|source| mount.is_bind() && !source.is_empty());
        Spelling { mountpoint: PathBuf::from(self.mountpoint(&mount.destination)), source: source.map(|source| PathBuf::from(self.resolved(source))) }
    }

    fn restore_view(&self, spec: &Spec<'_>) -> RestoreView {
        let masked = spec.masked_paths();
        let lost = self.lost_masks.iter().filter(|key| !masked.iter().any(|known| known == **key));
        let missing = |key: &str| if key.starts_with("/run") { Vec::new() } else { vec![PathBuf::from("/gone")] };
        RestoreView {
            image_problem: None,
            mounts: Vec::new(),
            sources: vec![None; spec.mounts.len()],
            rootfs: PathBuf::from("/bundle/rootfs"),
            rootfs_is_missing: false,
            rootfs_is_read_only: self.rootfs_is_read_only,
            tmp: None,
            stale_criu_root: None,
            create_sources: Vec::new(),
            lost_masks: lost.map(|key| LostMask { key: PathBuf::from(key), missing: missing(key) }).collect(),
            missing_work_directory: None,
        }
    }

    /// What looking at this host for this document would have shown.
    #[must_use]
    pub fn view(&self, spec: &Spec<'_>) -> HostView {
        let root = |path: &String| Root { path: PathBuf::from(path), place: Some(Place { device: DEVICE, path: PathBuf::from(path) }) };
        let rule_looks = self.config.rule("slave-protected-binds").enabled;
        HostView {
            roots: self.roots.iter().map(root).collect(),
            sources: spec.mounts.iter().map(|mount| self.source(mount).filter(|_| rule_looks)).collect(),
            unknown: Vec::new(),
            rootfs: Some(Rootfs { is_mountpoint: self.rootfs_is_mountpoint, mount_id: Some(1) }),
            sysctl_to_enable: None,
            spellings: spec.mounts.iter().filter(|_| self.respells).map(|mount| self.spelling(mount)).collect(),
            restore: (self.command == Command::Restore).then(|| self.restore_view(spec)),
        }
    }

    #[must_use]
    pub fn plan(&self, spec: &Spec<'_>) -> Plan {
        let host = self.view(spec);
        rules::plan(&Facts { command: self.command, flavour: self.flavour, config: &self.config, spec, foreign_words: &[], host: &host })
    }
}
