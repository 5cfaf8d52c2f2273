//! Vectors in cells: fixed-size lists around a flat array, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

/// The type of a cell of `dims` (slowest first) of `element`; `element` itself without `dims`.
pub(super) fn wrapped_type(element: &DataType, dims: &[usize]) -> DataType {
    dims.iter().rev().fold(element.clone(), |inner, dim| {
        DataType::FixedSizeList(Arc::new(Field::new_list_field(inner, true)), i32::try_from(*dim).unwrap_or(i32::MAX))
    })
}

/// A flat array of `rows` cells as fixed-size lists of `dims`.
pub(super) fn wrap(flat: ArrayRef, dims: &[usize], rows: usize) -> Result<ArrayRef, ArrowError> {
    let mut array = flat;
    for level in (0..dims.len()).rev() {
        let size = i32::try_from(dims[level])
            .map_err(|_| ArrowError::InvalidArgumentError(format!("vectors of {} elements", dims[level])))?;
        let length = rows * dims[..level].iter().product::<usize>();
        let field = Arc::new(Field::new_list_field(array.data_type().clone(), true));
        array = Arc::new(FixedSizeListArray::try_new_with_length(field, size, array, None, length)?);
    }
    Ok(array)
}

/// The element's type and the dimensions of a cell, slowest first.
pub(super) fn element_of(data_type: &DataType) -> (&DataType, Vec<usize>) {
    let (mut inner, mut dims) = (data_type, Vec::new());
    while let DataType::FixedSizeList(field, size) = inner {
        dims.push(usize::try_from(*size).unwrap_or(0));
        inner = field.data_type();
    }
    (inner, dims)
}

/// The elements of all cells, one behind the other. A cell that is null has nulls for elements.
pub(super) fn flatten(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::FixedSizeList(_, size) = array.data_type() else { return Ok(Arc::clone(array)) };
    let size = usize::try_from(*size).unwrap_or(0);
    let lists = array.as_fixed_size_list();
    let values = lists.values();
    let values = if lists.null_count() == 0 {
        Arc::clone(values)
    } else {
        let nothing = new_null_array(values.data_type(), 1);
        let places: Vec<(usize, usize)> = (0..lists.len())
            .flat_map(|row| {
                let valid = lists.is_valid(row);
                (0..size).map(move |k| if valid { (0, row * size + k) } else { (1, 0) })
            })
            .collect();
        arrow::compute::interleave(&[values.as_ref(), nothing.as_ref()], &places)?
    };
    flatten(&values)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, types::Int32Type};

    use super::*;

    #[test]
    fn there_and_back() {
        let flat: ArrayRef = Arc::new(Int32Array::from((0..24).collect::<Vec<_>>()));
        let cube = wrap(Arc::clone(&flat), &[3, 2], 4).unwrap();
        assert_eq!(cube.len(), 4);
        assert_eq!(*cube.data_type(), wrapped_type(&DataType::Int32, &[3, 2]));
        assert_eq!(element_of(cube.data_type()), (&DataType::Int32, vec![3, 2]));
        assert_eq!(flatten(&cube).unwrap().as_primitive::<Int32Type>(), flat.as_primitive::<Int32Type>());
        let part = flatten(&cube.slice(1, 2)).unwrap();
        assert_eq!(part.as_primitive::<Int32Type>().values(), &(6..18).collect::<Vec<_>>()[..]);
        // A null vector is a vector of nulls.
        let nothing = new_null_array(cube.data_type(), 2);
        let flat = flatten(&nothing).unwrap();
        assert_eq!((flat.len(), flat.null_count()), (12, 12));
    }
}
