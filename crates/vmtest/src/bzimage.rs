// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads x86 kernel images: the release name (`uname -r` of the machine that will boot it) and the
//! compressed kernel inside.

/// The release of an x86 `bzImage`: the boot header has at 0x20e the place of the version text,
/// counted from the second sector, whose first word is the release.
pub(crate) fn release(image: &[u8]) -> Option<String> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let place = u16::from_le_bytes(image.get(0x20e..0x210)?.try_into().ok()?);
    let text = image.get(usize::from(place) + 0x200..)?;
    let text = &text[..text.len().min(256)];
    let end = text.iter().position(|byte| *byte == b' ' || *byte == 0)?;
    let release = std::str::from_utf8(&text[..end]).ok()?;
    (!release.is_empty()).then(|| release.to_string())
}

/// The compressed kernel inside a `bzImage`, if it is a zstd stream. The boot header has at 0x248
/// its place, counted from the end of the setup sectors (whose number is at 0x1f1), and its
/// length; its last four bytes are the unpacked length, which is not part of the stream.
pub(crate) fn zstd_payload(image: &[u8]) -> Option<&[u8]> {
    let word = |place: usize| {
        let bytes = image.get(place..place + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let kernel = (usize::from(*image.get(0x1f1)?) + 1) * 512;
    let payload = image.get(kernel + word(0x248)?..)?.get(..word(0x24c)?)?;
    let stream = &payload[..payload.len().checked_sub(4)?];
    stream.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found() {
        let mut image = vec![0; 0x600];
        image[0x1f1] = 1;
        image[0x248] = 0x10;
        image[0x24c] = 12;
        image[0x410..0x414].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(zstd_payload(&image).map(<[u8]>::len), Some(8));
        image[0x24d] = 0xff;
        assert_eq!(zstd_payload(&image), None);
        assert_eq!(zstd_payload(&[0; 16]), None);
    }

    #[test]
    fn the_header_names_the_release() {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x300 + 17].copy_from_slice(b"6.16.12+x-cloud (");
        assert_eq!(release(&image).as_deref(), Some("6.16.12+x-cloud"));
        image[0x20f] = 0xff;
        assert_eq!(release(&image), None);
        assert_eq!(release(b"\x7fELF"), None);
    }
}
