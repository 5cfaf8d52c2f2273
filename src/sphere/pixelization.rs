//! [`Pixelization`]: the sky cut into numbered pixels.

use super::{ConvexPolygon, Healpix, Htm, LonLat, RangeSet, Region, SphereError, UnitVector, hull};

/// A hierarchical pixelization of the sphere at one level: [`Htm`] or [`Healpix`].
///
/// ```
/// use bunter::{Htm, LonLat, Pixelization, Region};
///
/// let htm = Htm::new(7)?;
/// let region: Region = "CIRCLE 150.1 2.2 0.5".parse()?;
/// let envelope = htm.envelope(&region);
/// assert!(envelope.contains(htm.index(LonLat::from_degrees(150.1, 2.2).to_unit())));
/// assert!(htm.interior(&region).is_within(&envelope));
/// assert!(htm.envelope_at_most(&region, 2).len() <= 2);
/// # Ok::<(), bunter::SphereError>(())
/// ```
pub trait Pixelization: std::fmt::Debug + Send + Sync {
    /// The name of the kind: `htm`, `healpix`.
    fn scheme(&self) -> &'static str;

    /// The level of subdivision; each has four times the pixels of the one before.
    fn level(&self) -> u8;

    /// All pixel indices.
    fn universe(&self) -> RangeSet;

    /// The pixel that holds a point. Of a point on a border between pixels one is taken. A vector that has no direction
    /// (zero, NaN) belongs nowhere, and gets some index.
    fn index(&self, point: UnitVector) -> u64;

    /// A convex polygon that stands for the pixel: the pixel itself where its borders are great circles.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    fn pixel(&self, index: u64) -> Result<ConvexPolygon, SphereError>;

    /// The pixel's centre.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    fn centre(&self, index: u64) -> Result<UnitVector, SphereError>;

    /// All pixels that touch the region, as ranges of indices. Their number grows with the length of the region's border:
    /// where the level is deep, ask for [`envelope_at_most`](Self::envelope_at_most).
    fn envelope(&self, region: &Region) -> RangeSet;

    /// All pixels inside the region.
    fn interior(&self, region: &Region) -> RangeSet;

    /// A superset of [`envelope`](Self::envelope) in at most `ranges` ranges (1 at least), found without descending
    /// deeper than they can tell.
    fn envelope_at_most(&self, region: &Region, ranges: usize) -> RangeSet;

    /// A subset of [`interior`](Self::interior) in at most `ranges` ranges.
    fn interior_at_most(&self, region: &Region, ranges: usize) -> RangeSet;

    /// The name that Rubin registries give this pixelization as a dimension: `htm7`, `healpix9`.
    fn name(&self) -> String {
        format!("{}{}", self.scheme(), self.level())
    }

    /// The pixels of points, given as columns of unit vectors' coordinates; `out` is cleared and filled.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for columns of different lengths, [`SphereError::NotUnit`] naming the first point that is
    /// none; `out` is then of no meaning.
    fn index_columns(&self, x: &[f64], y: &[f64], z: &[f64], out: &mut Vec<u64>) -> Result<(), SphereError> {
        if x.len() != y.len() || x.len() != z.len() {
            let problem = format!("x, y, z have {}, {}, {} entries", x.len(), y.len(), z.len());
            return Err(SphereError::BadColumns { problem });
        }
        out.clear();
        out.reserve(x.len());
        for (row, ((x, y), z)) in x.iter().zip(y).zip(z).enumerate() {
            let v = UnitVector { x: *x, y: *y, z: *z };
            hull::check_unit(row, v)?;
            out.push(self.index(v));
        }
        Ok(())
    }

    /// The pixels of points, given as columns of longitude and latitude in radians; `out` is cleared and filled.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for columns of different lengths, [`SphereError::BadPosition`] naming the first point
    /// that is not finite or beyond a pole; `out` is then of no meaning.
    fn index_lon_lat_columns(&self, lon: &[f64], lat: &[f64], out: &mut Vec<u64>) -> Result<(), SphereError> {
        check_lon_lat(lon, lat)?;
        out.clear();
        out.extend(lon.iter().zip(lat).map(|(lon, lat)| self.index(LonLat::new(*lon, *lat).to_unit())));
        Ok(())
    }
}

/// Columns of equal length, finite, and no latitude beyond a pole.
pub(super) fn check_lon_lat(lon: &[f64], lat: &[f64]) -> Result<(), SphereError> {
    if lon.len() != lat.len() {
        let problem = format!("longitude and latitude have {} and {} entries", lon.len(), lat.len());
        return Err(SphereError::BadColumns { problem });
    }
    (0..).zip(lon.iter().zip(lat)).try_for_each(|(index, (lon, lat))| LonLat::new(*lon, *lat).check(index))
}

/// The pixelization of a name such as `htm7` or `healpix9`, as Rubin registries name them.
///
/// ```
/// use bunter::sphere::pixelization;
///
/// assert_eq!(pixelization("htm7")?.universe().cardinality(), 8 * 4_u64.pow(7));
/// assert!(pixelization("hmt7").is_err());
/// # Ok::<(), bunter::SphereError>(())
/// ```
///
/// # Errors
/// [`SphereError::UnknownPixelization`], [`SphereError::BadLevel`].
pub fn pixelization(name: &str) -> Result<Box<dyn Pixelization>, SphereError> {
    const SCHEMES: [&str; 2] = ["htm", "healpix"];
    let at = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let unknown = |hint: String| Err(SphereError::UnknownPixelization { name: name.to_owned(), hint });
    let scheme = name[..at].to_ascii_lowercase();
    if !SCHEMES.contains(&scheme.as_str()) {
        let near = SCHEMES.iter().max_by(|a, b| strsim::jaro(a, &scheme).total_cmp(&strsim::jaro(b, &scheme)));
        let near = near.filter(|near| strsim::jaro(near, &scheme) > 0.7);
        return unknown(match near {
            Some(near) => format!("did you mean `{near}{}`?", &name[at..]),
            None => "there are `htm0` to `htm24` and `healpix0` to `healpix29`".to_owned(),
        });
    }
    let Ok(level) = name[at..].parse::<u8>() else {
        return unknown(format!("a level is missing: `{scheme}7`"));
    };
    Ok(if scheme == "htm" { Box::new(Htm::new(level)?) } else { Box::new(Healpix::new(level)?) })
}
