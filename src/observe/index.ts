/** The room for what observers see: channels, counters, histograms. */
export { type ChannelName, isObserved, type Messages, publish } from "./channels.ts";
export { Counters } from "./counters.ts";
export { Histogram, type HistogramSnapshot } from "./histogram.ts";
