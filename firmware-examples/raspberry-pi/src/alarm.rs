//! A GPIO pin that is high while a class is seen.

use anyhow::{Context, bail};
use mote_convert::blob::Blob;
use rppal::gpio::{Gpio, OutputPin};

/// Flags about the class to look out for.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Look out for this class, a label or a number.
    #[arg(long, value_name = "LABEL")]
    when: Option<String>,
    /// The score from which on the class counts as seen.
    #[arg(long, value_name = "SCORE", default_value_t = 0.5, requires = "when")]
    above: f32,
    /// A pin, by its BCM number, that is high while the class is seen.
    #[arg(long, value_name = "PIN", requires = "when")]
    gpio: Option<u8>,
}

/// Looks out for a class.
pub(crate) struct Alarm {
    class: usize,
    above: f32,
    pin: Option<OutputPin>,
}

impl Alarm {
    /// None when there is nothing to look out for.
    pub(crate) fn new(args: &Args, blob: &Blob) -> anyhow::Result<Option<Self>> {
        let Some(label) = &args.when else { return Ok(None) };
        let class = class(blob, label)?;
        let pin = args.gpio.map(open).transpose()?;
        Ok(Some(Self { class, above: args.above, pin }))
    }

    /// Whether the class is seen; the pin follows.
    pub(crate) fn look(&mut self, scores: &[f32]) -> bool {
        let seen = scores.get(self.class).is_some_and(|&score| score >= self.above);
        if let Some(pin) = &mut self.pin {
            pin.write(seen.into());
        }
        seen
    }
}

/// Low at first, and given back when it is dropped.
fn open(pin: u8) -> anyhow::Result<OutputPin> {
    let gpio = Gpio::new()
        .context("cannot use GPIO; --gpio needs a Raspberry Pi, and a user of the group `gpio`")?;
    let pin = gpio.get(pin).with_context(|| format!("cannot use GPIO pin {pin}"))?;
    Ok(pin.into_output_low())
}

fn class(blob: &Blob, label: &str) -> anyhow::Result<usize> {
    let mut labels = (0..blob.output().len()).map(|class| blob.label(class));
    let Some(class) = labels.position(|known| known == label) else {
        const SHOWN: usize = 20;
        let some: Vec<_> = (0..blob.output().len().min(SHOWN)).map(|c| blob.label(c)).collect();
        let more = if blob.output().len() > SHOWN { ", ..." } else { "" };
        bail!("the blob has no class `{label}`; it has {}{more}", some.join(", "));
    };
    Ok(class)
}
