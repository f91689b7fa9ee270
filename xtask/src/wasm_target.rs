//! A compiler that makes Wasm: the one in use, with the standard library that rustup adds to it; or, where rustup
//! cannot reach its server, Debian's, which comes with the source of the library and builds it along with the page.

use crate::apt;
use crate::step::{Step, note};
use crate::workspace::{Workspace, check, output_of};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Debian 12 has the linker under this name, later releases without the number.
const LINKERS: [&str; 2] = ["wasm-ld-14", "wasm-ld"];

pub enum WasmTarget {
    /// The compiler in use has the target.
    Installed,
    /// Debian's compiler builds the standard library itself.
    Debian { linker: PathBuf },
}

/// Finds a way to compile to Wasm, or installs one.
pub fn ensure(workspace: &Workspace) -> anyhow::Result<WasmTarget> {
    if is_installed(workspace) {
        return Ok(WasmTarget::Installed);
    }
    if let Some(debian) = find_debian(workspace) {
        return Ok(debian);
    }
    let step =
        Step::begin("Wasm target", "the page runs as WebAssembly; rustup adds the standard library for it");
    let mut rustup = workspace.command("rustup");
    let added =
        workspace.which("rustup").is_some() && check(rustup.args(["target", "add", WASM_TARGET])).is_ok();
    let target = if added && is_installed(workspace) {
        WasmTarget::Installed
    } else {
        note("rustup could not add it: Debian's compiler can build it from source");
        install_debian(workspace).with_context(|| {
            format!(
                "this compiler has no standard library for {WASM_TARGET}. Either of these brings one:\n  \
                 with a connection to static.rust-lang.org: rustup target add {WASM_TARGET}\n  \
                 on Debian and its relatives: apt-get install {}",
                DEBIAN_PACKAGES.join(" ")
            )
        })?
    };
    step.done();
    Ok(target)
}

impl WasmTarget {
    /// Cargo, for packages that are built for Wasm.
    pub fn cargo(&self, workspace: &Workspace, arguments: &[&str]) -> Command {
        let mut command = match self {
            WasmTarget::Installed => workspace.cargo(&[]),
            WasmTarget::Debian { .. } => workspace.command(DEBIAN_CARGO),
        };
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    /// Makes `command`, which will start cargo, use this target.
    pub fn prepare(&self, command: &mut Command) {
        if let WasmTarget::Debian { linker } = self {
            // Trunk starts cargo by its name.
            let path = command.get_envs().find_map(|(name, value)| value.filter(|_| name == "PATH"));
            let path = std::env::split_paths(path.unwrap_or_default());
            let debian = Path::new(DEBIAN_CARGO).parent().map(Path::to_owned);
            if let Ok(path) = std::env::join_paths(debian.into_iter().chain(path)) {
                command.env("PATH", path);
            }
            command
                .env("CARGO", DEBIAN_CARGO)
                .env("RUSTC", DEBIAN_RUSTC)
                // Building the library is not stable; the compiler is, and takes it on this word.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                .env_remove("RUSTUP_TOOLCHAIN");
        }
    }

    /// Whether clippy and rustdoc can look at packages for Wasm: they need a library that is there already.
    pub fn has_lints(&self) -> bool {
        matches!(self, WasmTarget::Installed)
    }
}

fn is_installed(workspace: &Workspace) -> bool {
    let mut rustc = workspace.command(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    output_of(rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]))
        .is_some_and(|directory| Path::new(&directory).is_dir())
}

fn find_debian(workspace: &Workspace) -> Option<WasmTarget> {
    let sysroot = output_of(workspace.command(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    let has_source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    let linker = LINKERS.iter().find_map(|name| workspace.which(name))?;
    (has_source && Path::new(DEBIAN_CARGO).is_file()).then_some(WasmTarget::Debian { linker })
}

fn install_debian(workspace: &Workspace) -> anyhow::Result<WasmTarget> {
    apt::install(workspace, &DEBIAN_PACKAGES, "some hundred megabytes")?;
    match find_debian(workspace) {
        Some(debian) => Ok(debian),
        None => bail!(
            "the packages are installed, but {DEBIAN_CARGO} or the library's source is not where it should be"
        ),
    }
}
