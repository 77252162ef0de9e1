import Autodiff
import Compute
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// Wanted rows of encoders and decoders behind them are rows of everything that is computed.
@Suite struct WantedRowsTests {
  private static func examples(_ ids: [[Int32]], target: [Int32] = []) -> [EncodedExample] {
    ids.enumerated().map { number, context in
      EncodedExample(
        source: ExampleSource(file: "f", line: number + 1), context: context, target: target,
        maskPosition: number % context.count, wordPlaces: Array(stride(from: number % 2, to: context.count, by: 2)))
    }
  }

  @Test(arguments: Backends.available) func rowsOfAnEncoder(_ device: TestBackend) throws {
    let backend = try device.make()
    let fixture = try PEFTFamilyTests.Fixture("bert-classifier", on: backend)
    let (prompted, ids) = (fixture.prompted, try fixture.integers("ids"))
    let examples = Self.examples(ids)
    let width = prompted.model.facts.hiddenWidth
    func rows(_ wanted: WantedRows) throws -> [Float] {
      try backend.values(
        try prompted.hiddenStates(examples, wanted, on: Tape(backend, isRecording: false)).value)
    }
    let all = try backend.values(
      try prompted.encodeBidirectionally(ids, on: Tape(backend, isRecording: false)).value)
    let length = prompted.prompt.length
    var next = 0
    let starts = ids.map { text in
      defer { next += length + text.count }
      return next..<next + length + text.count
    }
    func chosen(_ places: (Int) -> [Int]) -> [Float] {
      ids.indices.flatMap { places($0).flatMap { all[$0 * width..<($0 + 1) * width] } }
    }
    expectClose(try rows(.first), chosen { [starts[$0].lowerBound] }, within: 1e-4)
    expectClose(try rows(.last), chosen { [starts[$0].upperBound - 1] }, within: 1e-4)
    expectClose(
      try rows(.mask), chosen { [starts[$0].lowerBound + length + (examples[$0].maskPosition ?? 0)] }, within: 1e-4)
    expectClose(
      try rows(.text), chosen { Array(starts[$0].lowerBound + length..<starts[$0].upperBound) }, within: 1e-4)
    expectClose(
      try rows(.words),
      chosen { number in examples[number].wordPlaces.map { starts[number].lowerBound + length + $0 } }, within: 1e-4)
    #expect(throws: MethodError.self) { try rows(.targets) }
    #expect(throws: MethodError.self) { try rows(.decoder([1])) }
    var without = examples
    without[0].maskPosition = nil
    #expect(throws: MethodError.self) {
      try prompted.hiddenStates(without, .mask, on: Tape(backend, isRecording: false))
    }
  }

  /// The decoder's state behind its start token and a sentinel is the one that predicts what follows the sentinel.
  @Test(arguments: Backends.available) func rowsBehindAnEncoder(_ device: TestBackend) throws {
    let backend = try device.make()
    let fixture = try PEFTFamilyTests.Fixture("t5", on: backend)
    let (prompted, ids) = (fixture.prompted, try fixture.integers("ids"))
    let width = prompted.model.facts.hiddenWidth
    func rows(_ wanted: WantedRows, _ examples: [EncodedExample]) throws -> [Float] {
      try backend.values(
        try prompted.hiddenStates(examples, wanted, on: Tape(backend, isRecording: false)).value)
    }
    let targets = try rows(.targets, Self.examples(ids, target: [7, 9]))
    let expected = ids.indices.flatMap { targets[(2 * $0 + 1) * width..<(2 * $0 + 2) * width] }
    expectClose(try rows(.decoder([7]), Self.examples(ids)), expected, within: 1e-4)
    #expect(try rows(.text, Self.examples(ids)).count == ids.reduce(0) { $0 + $1.count } * width)
    // The encoder's rows stand where they do, whichever of them are wanted: its positions are relative.
    let all = try backend.values(
      try prompted.encodeBidirectionally(ids, on: Tape(backend, isRecording: false)).value)
    let length = prompted.prompt.length
    var next = 0
    let starts = ids.map { text in
      defer { next += length + text.count }
      return next
    }
    func chosen(_ places: (Int) -> [Int]) -> [Float] {
      ids.indices.flatMap { number in
        places(number).flatMap { all[(starts[number] + $0) * width..<(starts[number] + $0 + 1) * width] }
      }
    }
    let examples = Self.examples(ids)
    expectClose(try rows(.first, examples), chosen { _ in [0] }, within: 1e-4)
    expectClose(try rows(.last, examples), chosen { [length + ids[$0].count - 1] }, within: 1e-4)
    expectClose(try rows(.text, examples), chosen { ids[$0].indices.map { length + $0 } }, within: 1e-4)
    expectClose(try rows(.words, examples), chosen { examples[$0].wordPlaces.map { length + $0 } }, within: 1e-4)
    #expect(throws: MethodError.self) { try rows(.mask, Self.examples(ids)) }
  }
}
