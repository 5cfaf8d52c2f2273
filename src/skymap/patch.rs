//! [`PatchInfo`] and [`CellInfo`]: a tract's patch, and a patch's cell.

use super::SkyMapError;
use super::builder::CellGrid;
use super::tract::TractGeometry;
use crate::sphere::ConvexPolygon;
use crate::wcs::PixelBox;

/// One patch of a tract. Boxes are in the tract's pixels.
#[derive(Clone, Debug)]
pub struct PatchInfo {
    tract: u32,
    id: u32,
    index: (u32, u32),
    inner_bbox: PixelBox,
    outer_bbox: PixelBox,
    inner_polygon: ConvexPolygon,
    outer_polygon: ConvexPolygon,
    cells: Option<CellGrid>,
}

impl PatchInfo {
    pub(super) fn new(tract: u32, id: u32, geometry: &TractGeometry) -> Result<Self, SkyMapError> {
        let [nx, ny] = geometry.size.count;
        let index = (id % nx, id / nx);
        let inner_bbox = geometry.division.inner_box(index.0, index.1);
        let outer_bbox = geometry.division.outer_box(index.0, index.1, [nx, ny]);
        let polygon = |box_: PixelBox| {
            geometry
                .polygon(box_.corners())
                .map_err(|source| SkyMapError::Corners { what: format!("patch {id} of tract {tract}"), source })
        };
        Ok(Self {
            tract,
            id,
            index,
            inner_bbox,
            outer_bbox,
            inner_polygon: polygon(inner_bbox)?,
            outer_polygon: polygon(outer_bbox)?,
            cells: geometry.division.cells,
        })
    }

    /// The tract it belongs to.
    pub fn tract(&self) -> u32 {
        self.tract
    }

    /// Its number, `y * nx + x`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its column and row, `(x, y)`.
    pub fn index(&self) -> (u32, u32) {
        self.index
    }

    /// The box without border; inner boxes tile the tract.
    pub fn inner_bbox(&self) -> PixelBox {
        self.inner_bbox
    }

    /// The box with border: the pixels of the patch's images.
    pub fn outer_bbox(&self) -> PixelBox {
        self.outer_bbox
    }

    /// The polygon through the corners of the inner box.
    pub fn inner_polygon(&self) -> &ConvexPolygon {
        &self.inner_polygon
    }

    /// The polygon through the corners of the outer box: the patch's region in a registry.
    pub fn outer_polygon(&self) -> &ConvexPolygon {
        &self.outer_polygon
    }

    /// Number of cells in x and in y, those of the border counted; (0, 0) in a sky map without cells.
    pub fn num_cells(&self) -> (u32, u32) {
        let n = self.cells.map_or(0, |c| (c.per_patch + 2 * c.around) as u32);
        (n, n)
    }

    /// One cell, numbered row by row from the lower left of the border.
    ///
    /// # Errors
    /// [`SkyMapError::CellOutOfRange`].
    pub fn cell(&self, id: u32) -> Result<CellInfo, SkyMapError> {
        let (nx, ny) = self.num_cells();
        match self.cells {
            Some(cells) if u64::from(id) < u64::from(nx) * u64::from(ny) => {
                let index = (id % nx, id / nx);
                let [w, h] = cells.inner;
                let x0 = self.inner_bbox.x0 + (index.0 as i32 - cells.around) * w;
                let y0 = self.inner_bbox.y0 + (index.1 as i32 - cells.around) * h;
                let inner_bbox = PixelBox::new(x0, y0, w as u32, h as u32);
                Ok(CellInfo { id, index, inner_bbox, outer_bbox: inner_bbox.grown(cells.border) })
            }
            _ => Err(SkyMapError::CellOutOfRange { tract: self.tract, patch: self.id, cell: id, nx, ny }),
        }
    }
}

/// One cell of a patch. Boxes are in the tract's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellInfo {
    id: u32,
    index: (u32, u32),
    inner_bbox: PixelBox,
    outer_bbox: PixelBox,
}

impl CellInfo {
    /// Its number in the patch.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its column and row, `(x, y)`, those of the border counted.
    pub fn index(&self) -> (u32, u32) {
        self.index
    }

    /// The box without border.
    pub fn inner_bbox(&self) -> PixelBox {
        self.inner_bbox
    }

    /// The box with border.
    pub fn outer_bbox(&self) -> PixelBox {
        self.outer_bbox
    }
}
