//! What every board does with a blob; its own part is the clock, the pins and the camera.

use core::ops::Range;

use embedded_io::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use mote_engine::{Kernels, Model, ParseError, Session};
use mote_link::{Ended, Slots, serve};

use crate::{
    counter::{CLOCK_HZ, Counter},
    panic::stop,
    stack,
};

/// A session for `model`, or a line in the log and the end of the program.
pub fn open<'a>(
    model: Result<Model<'static>, ParseError>,
    arena: &'a mut [i8],
) -> Session<'static, 'a> {
    let model = match model {
        Ok(model) => model,
        Err(error) => {
            defmt::error!("the blob does not parse: {}", error);
            stop()
        }
    };
    match Session::new(model, Kernels::best(), arena) {
        Ok(session) => session,
        Err(error) => {
            defmt::error!("no session: {}", error);
            stop()
        }
    }
}

/// Runs one picture, already as the network's input stores it, and logs what came out and what it
/// cost. The class with the largest output.
pub fn classify(session: &mut Session<'_, '_>, picture: &[u8], counter: &Counter) -> u16 {
    let place = session.input_mut();
    if place.len() != picture.len() {
        defmt::error!("the network reads {} bytes, the picture has {}", place.len(), picture.len());
        stop()
    }
    place.copy_from_slice(bytemuck::cast_slice(picture));
    stack::paint();
    let (cycles, ()) = counter.measure(|| {
        session.run();
    });

    let best = session.top_k::<1>().first().copied();
    let (class, score) = best.map_or((0, 0.0), |best| (best.class, best.score));
    match session.model().label(usize::from(class)) {
        Some(label) => defmt::info!("label {=str}", label),
        None => defmt::info!("label {=u16}", class),
    }
    defmt::info!("score {=f32}", score);
    defmt::info!("output {=[u8]:02x}", bytemuck::cast_slice(session.output()));
    defmt::info!("cycles {=u64}", cycles);
    defmt::info!("milliseconds {=u64}", cycles * 1000 / u64::from(CLOCK_HZ));
    defmt::info!("arena_bytes {=usize}", session.model().arena_bytes());
    defmt::info!("stack_bytes {=u32}", stack::high_water_bytes());
    class
}

/// Blinks for ever: once for class 0, twice for class 1.
pub fn blink(class: u16, mut toggle: impl FnMut()) -> ! {
    loop {
        for _ in 0..=class {
            for _ in 0..2 {
                toggle();
                cortex_m::asm::delay(CLOCK_HZ / 5);
            }
        }
        cortex_m::asm::delay(CLOCK_HZ);
    }
}

/// Answers a host on `wire` for ever, with the model of the active slot, or with `built_in` where
/// none was ever stored or the stored one needs what this firmware has not. `view` is where the
/// processor sees a range of the flash.
pub fn serve_forever<W: Read + Write, F: NorFlash, A: FnMut(&mut F, Range<u32>) -> bool>(
    mut wire: W,
    mut slots: Slots<F, A>,
    view: fn(Range<u32>) -> &'static [u8],
    built_in: Result<Model<'static>, ParseError>,
    arena: &mut [i8],
) -> ! {
    loop {
        let stored = slots.active().and_then(|place| runnable(view(place), arena.len()));
        let mut session = open(stored.map_or(built_in, Ok), &mut *arena);
        defmt::info!(
            "serving blob {=u32:08x}, {=str}",
            session.model().blob().checksum(),
            if stored.is_some() { "from a slot" } else { "built in" },
        );
        match serve(&mut wire, &mut session, &mut slots) {
            Ended::Updated => defmt::info!("a new model"),
            Ended::HungUp => defmt::info!("the host hung up"),
            Ended::Failed(_) => defmt::warn!("the line failed"),
        }
    }
}

/// The model in `blob`, if this firmware can run it in that much arena.
#[must_use]
pub fn runnable(blob: &'static [u8], arena_bytes: usize) -> Option<Model<'static>> {
    Model::parse(blob).ok().filter(|model| model.arena_bytes() <= arena_bytes)
}
