//! The SHA-1 identity by which the reference tells sky maps apart.

use sha1::{Digest, Sha1};

use super::{Layout, SkyMapConfig, TractBuilder};

impl SkyMapConfig {
    /// The 20 bytes that identify the sky map; equal to the reference's `getSha1` for every kind of map.
    ///
    /// ```
    /// use bunter::SkyMapConfig;
    ///
    /// let hash = SkyMapConfig::preset("hsc_rings_v1")?.sha1();
    /// assert_eq!(hash[..4], [0xe2, 0x9f, 0xe9, 0xf1]);
    /// # Ok::<(), bunter::SkyMapError>(())
    /// ```
    pub fn sha1(&self) -> [u8; 20] {
        let mut bytes: Vec<u8> = Vec::new();
        let class: &[u8] = match self.layout {
            Layout::Rings { .. } => b"RingsSkyMap",
            Layout::Discrete { .. } => b"DiscreteSkyMap",
            Layout::Healpix { .. } => b"HealpixSkyMap",
            Layout::Equatorial { .. } => b"EquatSkyMap",
            Layout::Dodecahedron { .. } => b"DodecaSkyMap",
            Layout::Grid { .. } => b"GridSkyMap",
        };
        bytes.extend(class);
        let integers: &[u32] = match &self.tract_builder {
            TractBuilder::Legacy { patch_inner_dimensions: [w, h], patch_border } => &[*w, *h, *patch_border],
            TractBuilder::Cells {
                cell_inner_dimensions: [w, h],
                cell_border,
                num_cells_per_patch_inner,
                num_cells_in_patch_border,
            } => &[*w, *h, *cell_border, *num_cells_per_patch_inner, *num_cells_in_patch_border],
        };
        bytes.extend(integers.iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(self.tract_overlap_deg.to_le_bytes());
        bytes.extend(self.pixel_scale_arcsec.to_le_bytes());
        bytes.extend(self.projection.code().as_bytes());
        bytes.extend(self.rotation_deg.to_le_bytes());
        match &self.layout {
            Layout::Rings { num_rings, ra_start_deg } => {
                bytes.extend(num_rings.to_le_bytes());
                bytes.extend(ra_start_deg.to_le_bytes());
            }
            Layout::Discrete { ra_deg, dec_deg, radius_deg } => {
                let all = ra_deg.iter().chain(dec_deg).chain(radius_deg);
                bytes.extend(all.flat_map(|v| v.to_le_bytes()));
            }
            Layout::Healpix { log2_nside, nest } => {
                bytes.extend(log2_nside.to_le_bytes());
                bytes.push(u8::from(*nest));
            }
            Layout::Equatorial { num_tracts, dec_range_deg } => {
                bytes.extend(num_tracts.to_le_bytes());
                bytes.extend(dec_range_deg.iter().flat_map(|v| v.to_le_bytes()));
            }
            Layout::Grid { ra_deg, dec_deg, crpix, size } => {
                for value in [*ra_deg, *dec_deg, crpix[0], crpix[1]] {
                    bytes.extend(value.to_le_bytes());
                }
                for side in size {
                    bytes.extend(side.to_le_bytes());
                }
            }
            Layout::Dodecahedron { tracts_on_poles } => bytes.push(u8::from(*tracts_on_poles)),
        }
        Sha1::digest(&bytes).into()
    }

    /// [`sha1`](Self::sha1) in hexadecimal.
    pub fn sha1_hex(&self) -> String {
        use std::fmt::Write as _;
        self.sha1().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
