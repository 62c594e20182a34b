// Colours for a terminal and nowhere else: a program that reads our output, also under CI, gets plain text.
import pc from "picocolors";

export const colors = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
/** Of standard error. */
export const errorColors = pc.createColors(process.stderr.isTTY === true && !process.env.NO_COLOR);
