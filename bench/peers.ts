// Other packages that the benchmarks compare with this one. They are development dependencies that only the benchmarks
// need. If a package is not installed, its rows say so. So this file declares the few types that the benchmarks use.

import { Absent } from './subject.ts';

/** prom-client and its successor @prometheus-io/client have the same interface. */
export interface Prometheus {
  readonly Counter: new (options: {
    name: string;
    help: string;
    labelNames?: string[];
    registers?: object[];
  }) => {
    inc(): void;
    labels(labels: object): { inc(): void };
  };
  readonly Gauge: new (options: { name: string; help: string; registers?: object[] }) => { set(value: number): void };
  readonly Histogram: new (options: { name: string; help: string }) => { observe(value: number): void; startTimer(): () => number };
  readonly Registry: new () => { metrics(): Promise<string>; getMetricsAsJSON(): Promise<object[]> };
}

export interface Instrument {
  add(value: number): void;
  record(value: number): void;
}

export interface Meter {
  createCounter(name: string): Instrument;
  createGauge(name: string): Instrument;
  createHistogram(name: string): Instrument;
}

interface OpenTelemetry {
  readonly AggregationType: { readonly EXPONENTIAL_HISTOGRAM: number };
  readonly MetricReader: new () => object;
  readonly MeterProvider: new (options: object) => { getMeter(name: string): Meter };
}

export interface HdrHistogram {
  build(options: { numberOfSignificantValueDigits: number; useWebAssembly: boolean }): { recordValue(value: number): void };
  initWebAssembly(): Promise<void>;
}

export const PROMETHEUS = ['prom-client', '@prometheus-io/client'] as const;

/** @throws Absent if the package is not installed. */
export async function peer<T>(name: string): Promise<T> {
  let module: { default?: T };
  try {
    module = (await import(name)) as { default?: T };
  } catch (error) {
    throw new Absent(`${name} cannot be loaded: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  return (module.default ?? module) as T;
}

/** A meter with one reader, and a function that makes the reader collect. */
export async function openTelemetry(exponential = false): Promise<{ meter: Meter; collect: () => Promise<object> }> {
  const { AggregationType, MetricReader, MeterProvider } = await peer<OpenTelemetry>('@opentelemetry/sdk-metrics');
  class Reader extends MetricReader {
    declare collect: () => Promise<object>;
    async onShutdown() {}
    async onForceFlush() {}
  }
  const reader = new Reader();
  const views = exponential ? [{ instrumentName: '*', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }] : [];
  const meter = new MeterProvider({ readers: [reader], views }).getMeter('bench');
  return { meter, collect: () => reader.collect() };
}
