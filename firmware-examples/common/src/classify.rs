//! What every real board does with a picture; its own part is the clock, the pins and the camera.

use mote_engine::{Kernels, Model, ParseError, Session};

use crate::{counter::Counter, panic::stop, stack};

/// A session for `model`, or a line in the log and the end of the program.
pub fn open<'a>(
    model: Result<Model<'static>, ParseError>,
    arena: &'a mut [i8],
) -> Session<'static, 'a> {
    stack::paint();
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
pub fn classify(session: &mut Session<'_, '_>, picture: &[u8], counter: &Counter, hz: u32) -> u16 {
    let place = session.input_mut();
    if place.len() != picture.len() {
        defmt::error!("the network reads {} bytes, the picture has {}", place.len(), picture.len());
        stop()
    }
    place.copy_from_slice(bytemuck::cast_slice(picture));
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
    defmt::info!("milliseconds {=u64}", cycles * 1000 / u64::from(hz.max(1)));
    defmt::info!("arena_bytes {=usize}", session.model().arena_bytes());
    defmt::info!("stack_bytes {=u32}", stack::high_water_bytes());
    class
}
