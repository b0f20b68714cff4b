// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of the kernel, from a file of it that has DWARF.

use super::Place;
use gimli::{EndianArcSlice, Reader as _, RunTimeEndian};
use object::{CompressionFormat, Object as _, ObjectSection as _, ObjectSymbol as _, ReadCache};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

type Section = EndianArcSlice<RunTimeEndian>;
type Elf<'a> = object::File<'a, &'a ReadCache<File>>;

/// A symbol that tells how far the running kernel was moved.
pub const ANCHOR: &str = "_stext";

/// A kernel with DWARF.
pub struct Dwarf {
    context: addr2line::Context<Section>,
    /// How far the running kernel was moved.
    moved: u64,
}

impl fmt::Debug for Dwarf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Dwarf").field("moved", &self.moved).finish_non_exhaustive()
    }
}

impl Dwarf {
    /// Reads the file of a kernel that runs: its build ID, if that is known, and where its [`ANCHOR`] is.
    ///
    /// # Errors
    /// Words that say why the file does not serve.
    pub fn read(path: &Path, build_id: Option<&[u8]>, anchor: u64) -> Result<Self, String> {
        let open = || File::open(path).map_err(|error| error.to_string());
        let (cache, file) = (ReadCache::new(open()?), open()?);
        let elf = Elf::parse(&cache).map_err(|error| error.to_string())?;
        let own = elf.build_id().map_err(|error| error.to_string())?;
        if build_id.is_some() && own.is_none() {
            return Err("it has no build ID, so it may be of another kernel".to_owned());
        }
        if build_id.is_some() && own != build_id {
            return Err("it is of another kernel than the one that runs".to_owned());
        }
        if elf.section_by_name(".debug_info").is_none() {
            return Err("it has no DWARF".to_owned());
        }
        let mut symbols = elf.symbols();
        let start = symbols.find(|it| it.name() == Ok(ANCHOR)).ok_or("it has no symbols")?;
        let moved = anchor.wrapping_sub(start.address());
        let dwarf = gimli::Dwarf::load(|id| section(&elf, &file, id.name()))?;
        let context = addr2line::Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
        Ok(Self { context, moved })
    }

    /// The places of an address, the outermost first.
    pub(super) fn find(&self, address: u64) -> Vec<Place> {
        let address = address.wrapping_sub(self.moved);
        let folder = self.folder(address).unwrap_or_default();
        let mut places = self.places(address, &folder).unwrap_or_default();
        places.reverse();
        if let Some(outermost) = places.first_mut() {
            outermost.inlined = None;
        }
        places
    }

    fn places(&self, address: u64, folder: &str) -> Result<Vec<Place>, gimli::Error> {
        let mut frames = self.context.find_frames(address).skip_all_loads()?;
        let mut places = Vec::new();
        while let Some(frame) = frames.next()? {
            let name = frame.function.and_then(|it| Some(it.raw_name().ok()?.into_owned()));
            let Some(location) = frame.location else { continue };
            let (Some(file), Some(line)) = (location.file, location.line) else { continue };
            let within = file.strip_prefix(folder).map(|file| file.trim_start_matches('/'));
            let file = within.unwrap_or(file).trim_start_matches("./").to_owned();
            places.push(Place { inlined: Some(name.unwrap_or_default()), file, line });
        }
        Ok(places)
    }

    /// Where the compiler ran, which files of the kernel's source are told from.
    fn folder(&self, address: u64) -> Option<String> {
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads()?;
        Some(unit.comp_dir.as_ref()?.to_string_lossy().ok()?.into_owned())
    }
}

/// A section; an empty one if there is none of this name.
fn section(elf: &Elf<'_>, file: &File, name: &str) -> Result<Section, String> {
    let endian = if elf.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let Some(section) = elf.section_by_name(name) else {
        return Ok(EndianArcSlice::new(Arc::new([]), endian));
    };
    let failed = |error: String| format!("{name}: {error}");
    let place = section.compressed_file_range().map_err(|error| failed(error.to_string()))?;
    let end = place.offset.checked_add(place.compressed_size);
    let known = file.metadata().map_err(|error| failed(error.to_string()))?.len();
    if end.is_none_or(|end| end > known) {
        return Err(failed("it ends behind the file".to_owned()));
    }
    let size = usize::try_from(place.compressed_size).map_err(|error| failed(error.to_string()))?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, size).collect();
    if let Some(bytes) = Arc::get_mut(&mut bytes) {
        let done = file.read_exact_at(bytes, place.offset);
        done.map_err(|error| failed(error.to_string()))?;
    }
    let bytes = match place.format {
        CompressionFormat::None => bytes,
        other => unpacked(&bytes, other, place.uncompressed_size).map_err(failed)?.into(),
    };
    Ok(EndianArcSlice::new(bytes, endian))
}

fn unpacked(bytes: &[u8], format: CompressionFormat, size: u64) -> Result<Vec<u8>, String> {
    let most = usize::try_from(size).map_err(|error| error.to_string())?;
    match format {
        CompressionFormat::Zlib => {
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(bytes, most)
                .map_err(|error| error.to_string())
        }
        CompressionFormat::Zstandard => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(bytes);
            let decoder = decoder.map_err(|error| error.to_string())?;
            let mut all = Vec::new();
            decoder.take(size).read_to_end(&mut all).map_err(|error| error.to_string())?;
            Ok(all)
        }
        _ => Err("it is compressed in a way that is not known".to_owned()),
    }
}
