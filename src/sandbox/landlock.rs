//! Landlock, the kernel's interface by which a process gives up rights: <https://docs.kernel.org/userspace-api/landlock.html>.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{Allowed, Enforced, Rights};

/// The newest whose rights are all decided on here. An older kernel enforces what it knows of them.
const DECIDED: ABI = ABI::V6;

/// For the calling thread and its children, for good.
pub(super) fn enforce(allowed: &Allowed) -> Result<Enforced, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(DECIDED))?
        .handle_access(AccessNet::from_all(DECIDED))?
        // signals, and sockets without a file, of processes outside
        .scope(Scope::from_all(DECIDED))?
        .create()?;
    for (folder, rights) in &allowed.folders {
        // one that is gone or closed to us needs no rule
        if let Ok(folder) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(folder, access(*rights)))?;
        }
    }
    for port in &allowed.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &allowed.dial {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = rules.restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, .. },
        ) => Enforced::Abi(effective_abi.to_string()),
        _ => Enforced::Unsupported,
    })
}

fn access(rights: Rights) -> BitFlags<AccessFs> {
    let Rights {
        read,
        list,
        write,
        sockets,
    } = rights;
    let mut access = BitFlags::EMPTY;
    if read {
        access |= AccessFs::ReadFile;
    }
    if list {
        access |= AccessFs::ReadDir;
    }
    if write {
        // a folder is opened to make sure of what was written to it
        access |= AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::Truncate;
        access |= AccessFs::MakeReg | AccessFs::RemoveFile;
    }
    if sockets {
        access |= AccessFs::MakeSock | AccessFs::RemoveFile;
    }
    access
}
