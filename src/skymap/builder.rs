//! [`TractBuilder`]: how a tract is divided into patches, and patches into cells.

use serde::{Deserialize, Serialize};

use super::SkyMapError;
use crate::wcs::PixelBox;

/// How a tract is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TractBuilder {
    /// Patches with a border that ends at the tract's border.
    Legacy {
        /// Width and height of a patch without its border, pixels.
        #[serde(default = "default_patch")]
        patch_inner_dimensions: [u32; 2],
        /// Width of the border, pixels.
        #[serde(default = "default_border")]
        patch_border: u32,
    },
    /// Patches of whole cells, with a border of whole cells that may reach out of the tract.
    Cells {
        /// Width and height of a cell without its border, pixels.
        #[serde(default = "default_cell")]
        cell_inner_dimensions: [u32; 2],
        /// Width of a cell's border, pixels.
        #[serde(default = "default_cell_border")]
        cell_border: u32,
        /// Cells along the side of a patch.
        #[serde(default = "default_cells")]
        num_cells_per_patch_inner: u32,
        /// Cells along the width of the patch's border.
        #[serde(default = "default_border_cells")]
        num_cells_in_patch_border: u32,
    },
}

const fn default_patch() -> [u32; 2] {
    [4000, 4000]
}
const fn default_border() -> u32 {
    100
}
const fn default_cell() -> [u32; 2] {
    [150, 150]
}
const fn default_cell_border() -> u32 {
    50
}
const fn default_cells() -> u32 {
    20
}
const fn default_border_cells() -> u32 {
    1
}

impl Default for TractBuilder {
    fn default() -> Self {
        Self::Legacy { patch_inner_dimensions: default_patch(), patch_border: default_border() }
    }
}

impl TractBuilder {
    /// The reference's default cells: 150 pixels with a border of 50, 20 by 20 to a patch, one around it.
    pub const CELLS: Self = Self::Cells {
        cell_inner_dimensions: default_cell(),
        cell_border: default_cell_border(),
        num_cells_per_patch_inner: default_cells(),
        num_cells_in_patch_border: default_border_cells(),
    };
}

/// Cells of a patch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CellGrid {
    pub(super) inner: [i32; 2],
    pub(super) border: i32,
    pub(super) per_patch: i32,
    pub(super) around: i32,
}

/// The builder's numbers, checked; the same for all tracts of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Division {
    /// Patch without border.
    pub(super) inner: [i32; 2],
    pub(super) border: i32,
    /// Whether outer boxes end at the tract's border.
    pub(super) clipped: bool,
    pub(super) cells: Option<CellGrid>,
}

/// Sides beyond this are no image.
const MAX_SIDE: u32 = 1 << 24;

impl Division {
    pub(super) fn new(builder: TractBuilder) -> Result<Self, SkyMapError> {
        let checked = |field, value: u32, min: u32| {
            if (min..=MAX_SIDE).contains(&value) {
                Ok(value as i32)
            } else {
                let problem = format!("is {value}, expected {min} to {MAX_SIDE}");
                Err(SkyMapError::BadConfig { field, problem })
            }
        };
        match builder {
            TractBuilder::Legacy { patch_inner_dimensions: [w, h], patch_border } => {
                let side = |v| checked("patch_inner_dimensions", v, 1);
                let border = checked("patch_border", patch_border, 0)?;
                Ok(Self { inner: [side(w)?, side(h)?], border, clipped: true, cells: None })
            }
            TractBuilder::Cells {
                cell_inner_dimensions: [w, h],
                cell_border,
                num_cells_per_patch_inner,
                num_cells_in_patch_border,
            } => {
                let side = |v| checked("cell_inner_dimensions", v, 1);
                let cells = CellGrid {
                    inner: [side(w)?, side(h)?],
                    border: checked("cell_border", cell_border, 0)?,
                    per_patch: checked("num_cells_per_patch_inner", num_cells_per_patch_inner, 1)?,
                    around: checked("num_cells_in_patch_border", num_cells_in_patch_border, 0)?,
                };
                if w != h {
                    let problem = format!("is [{w}, {h}]: cells must be square");
                    return Err(SkyMapError::BadConfig { field: "cell_inner_dimensions", problem });
                }
                let patch = checked("num_cells_per_patch_inner", w.saturating_mul(num_cells_per_patch_inner), 1)?;
                let around = w.saturating_mul(num_cells_in_patch_border).saturating_add(cell_border);
                let border = checked("num_cells_in_patch_border", around, 0)?;
                Ok(Self { inner: [patch, patch], border, clipped: false, cells: Some(cells) })
            }
        }
    }

    /// First and last-plus-one pixel of a patch's outer box along one axis, in a tract of `count` patches.
    pub(super) fn outer_range(self, axis: usize, index: i32, count: u32) -> (i64, i64) {
        let side = i64::from(self.inner[axis]);
        let start = i64::from(index) * side;
        let (first, end) = (start - i64::from(self.border), start + side + i64::from(self.border));
        if self.clipped { (first.max(0), end.min(i64::from(count) * side)) } else { (first, end) }
    }

    pub(super) fn inner_box(self, x: u32, y: u32) -> PixelBox {
        let [w, h] = self.inner;
        PixelBox::new(x as i32 * w, y as i32 * h, w as u32, h as u32)
    }

    pub(super) fn outer_box(self, x: u32, y: u32, count: [u32; 2]) -> PixelBox {
        let (x0, x1) = self.outer_range(0, x as i32, count[0]);
        let (y0, y1) = self.outer_range(1, y as i32, count[1]);
        PixelBox::new(x0 as i32, y0 as i32, (x1 - x0) as u32, (y1 - y0) as u32)
    }

    /// The box of all outer boxes of a tract.
    pub(super) fn reach(self, count: [u32; 2]) -> PixelBox {
        let box_ = PixelBox::new(0, 0, count[0] * self.inner[0] as u32, count[1] * self.inner[1] as u32);
        if self.clipped { box_ } else { box_.grown(self.border) }
    }
}
