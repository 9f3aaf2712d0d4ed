//! Any element-wise function, int8, by table: `output = table[input + 128]`.

use crate::ShapeError;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The input, or `None` when `output` holds it: the work is then done in place.
    pub input: Option<&'a [i8]>,
    /// The function at -128, -127, .., 127.
    pub table: &'a [i8; 256],
    /// As long as the input.
    pub output: &'a mut [i8],
}

/// [`Operands`] whose lengths were checked.
#[derive(Debug)]
pub struct Args<'a>(Operands<'a>);

impl<'a> Args<'a> {
    /// # Errors
    /// [`ShapeError`] naming the operand that does not fit.
    pub fn new(operands: Operands<'a>) -> Result<Self, ShapeError> {
        let Operands { input, output, .. } = &operands;
        if input.is_some_and(|input| input.len() != output.len()) {
            return Err(ShapeError::InputLen);
        }
        Ok(Self(operands))
    }
}

/// The signature of a cell.
pub type Run = fn(&mut Args<'_>);
