//! What `Args::new` and the constructors refuse, and by which name.

use mote_kernels::{
    Clamp, ClampF16, Epilogue, EpilogueF16, F16, Filter, Geometry, Layout, Requantize, Rows, Shape,
    ShapeError, Window, avg_pool_s8, clamp_s8, conv_s8, pack, pack_f16, pad_s8, pointwise_conv_f16,
    pointwise_conv_s8, softmax_f16,
};

const MAP: Shape = Shape::new(4, 4, 2);
const WINDOW: Window = Window { kernel_height: 3, kernel_width: 3, ..Window::UNIT };
const OUTPUT: Shape = Shape::new(2, 2, 1);

const EPILOGUE: Epilogue<'_> = Epilogue {
    bias: &[0],
    requantize: Requantize::Float { scale: &[1.0] },
    zero_point: 0,
    clamp: Clamp::NONE,
};

/// A correct 3x3 convolution, changed by `change` before the check.
fn conv(change: impl FnOnce(&mut conv_s8::Operands<'_>)) -> Result<(), ShapeError> {
    let (input, filter, mut output) = ([0; 32], [0; 18], [0; 4]);
    let mut operands = conv_s8::Operands {
        geometry: Geometry::new(MAP, OUTPUT, WINDOW)?,
        input: Rows::whole(&input, MAP)?,
        filter: Filter::new(&filter, Layout::PLAIN, 1, 18)?,
        epilogue: EPILOGUE,
        pad_value: 0,
        first_row: 0,
        output: &mut output,
        scratch: &mut [],
    };
    change(&mut operands);
    conv_s8::Args::new(operands).map(drop)
}

#[test]
fn convolution() {
    assert_eq!(conv(|_| {}), Ok(()));
    assert_eq!(conv(|op| op.first_row = 1), Err(ShapeError::OutputLen));
    assert_eq!(conv(|op| op.output = &mut []), Ok(()), "no rows are some rows");
    let longer = Shape::new(5, 4, 2);
    assert_eq!(
        conv(|op| op.input = Rows::whole(&[0; 40], longer).unwrap()),
        Err(ShapeError::InputLen)
    );
    assert_eq!(
        conv(|op| op.input = Rows::ring(&[0; 16], MAP, 2).unwrap()),
        Err(ShapeError::InputLen),
        "a ring of two rows under a window of three"
    );
    assert_eq!(conv(|op| op.epilogue.bias = &[]), Err(ShapeError::ParameterLen));
    assert_eq!(
        conv(|op| op.epilogue.requantize = Requantize::FixedPoint { multiplier: &[1], shift: &[] }),
        Err(ShapeError::ParameterLen)
    );
    assert_eq!(
        conv(|op| op.epilogue.clamp = Clamp { min: 1, max: 0 }),
        Err(ShapeError::ParameterLen)
    );
    assert_eq!(
        conv(|op| op.filter = Filter::new(&[0; 9], Layout::PLAIN, 1, 9).unwrap()),
        Err(ShapeError::Channels)
    );
}

#[test]
fn geometry() {
    let new = |input, output, window| Geometry::new(input, output, window).map(drop);
    assert_eq!(new(MAP, OUTPUT, WINDOW), Ok(()));
    assert_eq!(new(Shape::new(0, 4, 2), OUTPUT, WINDOW), Err(ShapeError::Extent));
    assert_eq!(new(Shape::new(4, 4, 70_000), OUTPUT, WINDOW), Err(ShapeError::Extent));
    assert_eq!(new(MAP, OUTPUT, Window { stride_height: 0, ..WINDOW }), Err(ShapeError::Extent));
    assert_eq!(new(MAP, OUTPUT, Window { pad_top: 3, ..WINDOW }), Err(ShapeError::Window));
    assert_eq!(new(MAP, Shape::new(5, 2, 1), WINDOW), Err(ShapeError::Window));
}

#[test]
fn filters() {
    assert_eq!(Layout::new(3, 1), Err(ShapeError::Layout));
    assert_eq!(Layout::new(8, 0), Err(ShapeError::Layout));
    let layout = Layout::new(8, 2).unwrap();
    // Three channels of five steps fill a block of eight by six.
    assert_eq!(layout.packed_len(3, 5), Some(48));
    assert_eq!(Filter::new(&[0; 47], layout, 3, 5).map(drop), Err(ShapeError::FilterLen));
    assert_eq!(pack(&[0; 14], layout, 3, 5, &mut [0; 48]), Err(ShapeError::FilterLen));
    assert_eq!(pack(&[0; 15], layout, 3, 5, &mut [0; 47]), Err(ShapeError::FilterLen));
    assert_eq!(layout.packed_len(usize::MAX, 2), None);
}

#[test]
fn narrow_filters() {
    let layout = Layout::new(2, 4).unwrap().narrow().unwrap();
    assert_eq!((layout.code(), Layout::from_code([2, 68])), ([2, 68], Ok(layout)));
    assert_eq!(Layout::from_code([2, 64 + 3]), Err(ShapeError::Layout));
    assert_eq!(Layout::new(2, 64).unwrap().narrow(), Err(ShapeError::Layout));
    assert_eq!(Layout::WOVEN.narrow(), Err(ShapeError::Layout));
    assert_eq!(pack(&[-128, 0], layout, 2, 1, &mut [0; 8]), Err(ShapeError::Layout));
    let mut packed = [0; 8];
    pack(&[-127, 127], layout, 2, 1, &mut packed).unwrap();
    assert!(Filter::new(&packed, layout, 2, 1).unwrap().weights_are_in_range());
    packed[4] = -128;
    assert!(!Filter::new(&packed, layout, 2, 1).unwrap().weights_are_in_range());
}

#[test]
fn woven_filters() {
    let layout = Layout::WOVEN;
    assert_eq!(Layout::from_code(layout.code()), Ok(layout));
    assert_eq!(Layout::from_code([4, 130]), Err(ShapeError::Layout));
    assert_eq!(pack(&[-128, 0], layout, 2, 1, &mut [0; 16]), Err(ShapeError::Layout));
    // Three channels of two steps: negative even channels borrow from the odd ones.
    let plain = [-1, 127, -127, -127, -5, 6];
    let mut packed = [0; 16];
    pack(&plain, layout, 3, 2, &mut packed).unwrap();
    let filter = Filter::new(&packed, layout, 3, 2).unwrap();
    let read: Vec<i32> =
        (0..4).flat_map(|c| (0..4).map(move |s| (c, s))).map(|(c, s)| filter.at(c, s)).collect();
    assert_eq!(read, [-1, 127, 0, 0, -127, -127, 0, 0, -5, 6, 0, 0, 0, 0, 0, 0]);
    assert!(filter.tails_are_zero() && filter.weights_are_in_range());
    // An odd channel of 128, and one of -128.
    for pair in [[-1, 127], [0, -128]] {
        packed[..2].copy_from_slice(&pair);
        let filter = Filter::new(&packed, layout, 3, 2).unwrap();
        assert!(!filter.weights_are_in_range());
    }
}

#[test]
fn halves() {
    let new = |layout, bias: &[f32], clamp| {
        let (input, weights, mut output) =
            ([F16::default(); 2], [F16::default(); 16], [F16::default()]);
        let len = layout_len(layout);
        let operands = pointwise_conv_f16::Operands {
            input: &input,
            filter: Filter::<F16>::new(&weights[..len], layout, 1, 2)?,
            epilogue: EpilogueF16 { bias, clamp },
            output: &mut output,
            scratch: &mut [],
        };
        pointwise_conv_f16::Args::new(operands).map(drop)
    };
    let layout_of_8 = Layout::new(8, 1).unwrap();
    assert_eq!(new(Layout::PLAIN, &[0.0], ClampF16::NONE), Ok(()));
    assert_eq!(new(layout_of_8, &[0.0], ClampF16::NONE), Ok(()));
    assert_eq!(new(Layout::WOVEN, &[0.0], ClampF16::NONE), Err(ShapeError::Layout));
    assert_eq!(new(Layout::PLAIN, &[], ClampF16::NONE), Err(ShapeError::ParameterLen));
    let infinite = ClampF16 { min: 0.0, max: f32::INFINITY };
    assert_eq!(new(Layout::PLAIN, &[0.0], infinite), Err(ShapeError::ParameterLen));
    let packed = pack_f16(&[F16::default(); 2], Layout::WOVEN, 1, 2, &mut [F16::default(); 16]);
    assert_eq!(packed, Err(ShapeError::Layout));
    // An infinite weight, and one in the tail.
    for (place, bits) in [(0, 0x7c00), (1, 0x3c00)] {
        let mut weights = [F16::default(); 16];
        weights[place] = F16::from_bits(bits);
        let filter = Filter::<F16>::new(&weights, layout_of_8, 1, 2).unwrap();
        assert!(!filter.is_sound());
    }
    let beta = softmax_f16::Operands { input: &[], depth: 1, beta: f32::NAN, output: &mut [] };
    assert_eq!(softmax_f16::Args::new(beta).map(drop), Err(ShapeError::ParameterLen));
}

/// Values that one channel of two steps takes.
fn layout_len(layout: Layout) -> usize {
    layout.packed_len(1, 2).unwrap()
}

#[test]
fn element_wise_and_pools() {
    let clamp = Clamp { min: 1, max: 0 };
    let operands = clamp_s8::Operands { input: None, clamp, output: &mut [0; 3] };
    assert_eq!(clamp_s8::Args::new(operands).map(drop), Err(ShapeError::ParameterLen));
    let operands =
        clamp_s8::Operands { input: Some(&[0; 2]), clamp: Clamp::NONE, output: &mut [0; 3] };
    assert_eq!(clamp_s8::Args::new(operands).map(drop), Err(ShapeError::InputLen));

    let operands = avg_pool_s8::Operands {
        geometry: Geometry::new(MAP, OUTPUT, WINDOW).unwrap(),
        input: Rows::whole(&[0; 32], MAP).unwrap(),
        clamp: Clamp::NONE,
        first_row: 0,
        output: &mut [0; 4],
    };
    assert_eq!(avg_pool_s8::Args::new(operands).map(drop), Err(ShapeError::Channels));

    let operands = pointwise_conv_s8::Operands {
        input: &[0; 7],
        filter: Filter::new(&[0; 2], Layout::PLAIN, 1, 2).unwrap(),
        epilogue: EPILOGUE,
        output: &mut [0; 3],
        scratch: &mut [],
    };
    assert_eq!(pointwise_conv_s8::Args::new(operands).map(drop), Err(ShapeError::InputLen));

    let operands = pad_s8::Operands {
        input: &[0; 32],
        input_shape: MAP,
        output_shape: MAP,
        top: 1,
        left: 0,
        value: 0,
        output: &mut [0; 32],
    };
    assert_eq!(pad_s8::Args::new(operands).map(drop), Err(ShapeError::Extent));
}
