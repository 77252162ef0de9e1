import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// Layers of a head in Double, for central differences.
private struct DoubleHead {
  /// Row-major weights `[outputs, inputs]` with biases; tanh behind all but the last.
  var layers: [(weight: [Double], bias: [Double])]

  func scores(_ rows: [[Double]]) -> [[Double]] {
    rows.map { row in
      layers.enumerated().reduce(row) { x, layer in
        layer.element.bias.indices.map { output in
          let sum = x.indices.reduce(layer.element.bias[output]) {
            $0 + layer.element.weight[output * x.count + $1] * x[$1]
          }
          return layer.offset == layers.count - 1 ? sum : tanh(sum)
        }
      }
    }
  }

  static func loss(_ scores: [Double], _ answer: ExampleAnswer) -> Double {
    switch answer {
    case .label(let label): log(scores.reduce(0) { $0 + exp($1) }) - scores[label]
    case .labels: .nan
    case .value(let value): (scores[0] - value) * (scores[0] - value)
    }
  }
}

@Suite struct HeadTests {
  private static let contexts = [5, 2, 4]

  private static func examples(_ answers: [ExampleAnswer]) -> [EncodedExample] {
    answers.enumerated().map { number, answer in
      EncodedExample(
        source: ExampleSource(file: "f", line: number + 1),
        context: randomIndices(contexts[number], below: 250, seed: UInt64(number)), target: [], answer: answer)
    }
  }

  private static func request(
    on backend: any ComputeBackend, token: HeadToken? = nil, labels: [String] = [], words: [String]? = nil,
    trainable: Trainable = .prompt, seed: UInt64 = 0
  ) throws -> HeadRequest {
    let model = try TinyModel.gpt2(on: backend)
    return HeadRequest(
      model: model, codec: try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts), token: token, labels: labels,
      labelWords: words, trainable: trainable, seed: seed)
  }

  /// Gradients of a head's tensors and of what it reads are the central differences of the same head in Double.
  @Test(arguments: Backends.available, ["classifier", "regressor", "last", "verbalizer", "token-classifier"])
  func gradientsAreDifferences(_ device: TestBackend, _ kind: String) throws {
    let backend = try device.make()
    let labels: [ExampleAnswer] = [.label(2), .label(0), .label(1)]
    let values: [ExampleAnswer] = [.value(0.5), .value(-2), .value(1)]
    let head: any TaskHead
    switch kind {
    case "classifier":
      head = try ClassifierHead(try Self.request(on: backend, token: .mean, labels: ["a", "b", "c"]))
    case "last": head = try ClassifierHead(try Self.request(on: backend, labels: ["a", "b", "c"]))
    case "regressor": head = try RegressorHead(try Self.request(on: backend, token: .mean))
    case "token-classifier":
      head = try TokenClassifierHead(try Self.request(on: backend, labels: ["a", "b", "c"]))
    default: head = try VerbalizerHead(try Self.request(on: backend, labels: ["no", "yes", "maybe"]))
    }
    let isWords = kind == "token-classifier"
    var examples = Self.examples(kind == "regressor" ? values : labels)
    if isWords {
      let words: [(places: [Int], labels: [Int])] = [([1, 2, 4], [2, 0, 2]), ([0], [1]), ([1, 3], [0, 1])]
      for (number, row) in words.enumerated() {
        examples[number].wordPlaces = row.places
        examples[number].answer = .labels(row.labels)
      }
    }
    let answers = examples.flatMap { $0.answer?.parts ?? [] }
    // A row for each word, or the mean of an example's rows.
    let counts = isWords ? answers.map { _ in 1 } : examples.map(head.wanted.count)
    let width = 24
    let rows = normals(counts.reduce(0, +) * width, seed: 4)
    // Larger than they start, so that their part in the gradients counts.
    for (number, parameter) in head.parameters.enumerated() {
      parameter.value = try backend.tensor(
        normals(parameter.count, seed: UInt64(20 + number), deviation: 0.3), parameter.shape)
    }
    let tape = Tape(backend)
    let hidden = tape.leaf(try backend.tensor(rows, [rows.count / width, width]), name: "hidden")
    let losses = try head.losses(hidden, examples, on: tape)
    #expect(losses.value.count == answers.count && examples.reduce(0) { $0 + head.lossCount(of: $1) } == answers.count)
    let cotangent = normals(answers.count, seed: 6)
    let gradients = try tape.gradients(of: losses, cotangent: try backend.tensor(cotangent, losses.shape))

    let tensors = try Self.tensors(of: head, backend)
    func total(_ rows: [Double], _ tensors: [[Double]]) -> Double {
      var row = 0
      let means = counts.map { count in
        defer { row += count }
        return (0..<width).map { column in
          (row..<row + count).reduce(0) { $0 + rows[$1 * width + column] } / Double(count)
        }
      }
      let reference = DoubleHead(layers: [(tensors[0], tensors[1])])
      return zip(reference.scores(means), zip(answers, cotangent)).reduce(0) { sum, item in
        sum + Double(item.1.1) * DoubleHead.loss(item.0, item.1.0)
      }
    }
    let start = [rows.map(Double.init)] + tensors
    func difference(_ tensor: Int, _ place: Int) -> Double {
      let step = 1e-5
      func moved(_ sign: Double) -> Double {
        var point = start
        point[tensor][place] += sign * step
        return total(point[0], Array(point[1...]))
      }
      return (moved(1) - moved(-1)) / (2 * step)
    }
    func compare(_ got: [Float], _ tensor: Int, _ name: String) {
      let expected = got.indices.map { difference(tensor, $0) }
      let largest = expected.reduce(0) { max($0, abs($1)) }
      #expect(largest > 1e-3, "\(name)")
      expectClose(got, expected, within: 1e-5 * max(1, largest), .absolute, "\(name)")
    }
    compare(try backend.values(try #require(gradients[hidden])), 0, "hidden")
    for (number, parameter) in head.parameters.enumerated() {
      compare(try backend.values(try #require(gradients[parameter])), number + 1, parameter.name)
    }
  }

  /// Weight and bias of a head in one layer; a verbalizer's are rows of the embedding.
  private static func tensors(of head: any TaskHead, _ backend: any ComputeBackend) throws -> [[Double]] {
    if let verbalizer = head as? VerbalizerHead {
      let table = try backend.values(try TinyModel.gpt2(on: backend).tokenEmbedding.value)
      let rows = verbalizer.wordTokens.flatMap { table[Int($0) * 24..<(Int($0) + 1) * 24].map(Double.init) }
      return [rows, [0, 0, 0]]
    }
    let values = try head.parameters.map { try backend.values($0.value).map(Double.init) }
    return values.count == 2 ? values : [values[0], [Double](repeating: 0, count: head.parameters[0].shape[0])]
  }

  /// Dropout lies in front of the output layer in a step's recording alone; what it leaves out does not depend on how the
  /// step is split, and its gradient is that of the rows that are left.
  @Test(arguments: Backends.available) func dropoutInFrontOfTheOutput(_ device: TestBackend) throws {
    let backend = try device.make()
    var request = try Self.request(on: backend, labels: ["a", "b", "c"])
    let dropout = HeadDropout(probability: 0.5, seed: 7)
    request.dropout = dropout
    let head = try ClassifierHead(request)
    let task = TaskModel(PromptedModel(model: request.model, prompt: NoPrompt()), head: head, dropout: dropout)
    let examples = Self.examples([.label(2), .label(0), .label(1)])
    let rows = normals(3 * 24, seed: 4)
    func scores(_ tape: Tape, _ part: Range<Int>) throws -> (input: Variable, output: Variable) {
      let values = Array(rows[part.lowerBound * 24..<part.upperBound * 24])
      let hidden = tape.leaf(try backend.tensor(values, [part.count, 24]), name: "hidden")
      return (hidden, try head.scores(hidden, Array(examples[part]), on: tape))
    }
    func values(_ tape: Tape, _ part: Range<Int> = 0..<3) throws -> [Float] {
      try backend.values(try scores(tape, part).output.value)
    }
    let whole = try values(Tape(backend, isRecording: false))
    #expect(try values(Tape(backend)) == whole)
    task.begin(step: 3)
    #expect(try values(Tape(backend, isRecording: false)) == whole)
    let tape = Tape(backend)
    let dropped = try scores(tape, 0..<3)
    let got = try backend.values(dropped.output.value)
    #expect(zip(got, whole).contains { abs($0 - $1) > 1e-3 })
    task.begin(step: 3)
    let parts = try values(Tape(backend), 0..<1) + values(Tape(backend), 1..<3)
    expectClose(parts, got, within: 1e-5, .absolute)
    task.begin(step: 4)
    #expect(try values(Tape(backend)) != got)
    // The gradient of a number is 0 where it was left out, and twice what it is without dropout elsewhere.
    let cotangent = try backend.tensor(normals(9, seed: 5), [3, 3])
    let gradient = try backend.values(
      try #require(try tape.gradients(of: dropped.output, cotangent: cotangent)[dropped.input]))
    let plainTape = Tape(backend)
    let plainHead = try ClassifierHead(try Self.request(on: backend, labels: ["a", "b", "c"]))
    let leaf = plainTape.leaf(try backend.tensor(rows, [3, 24]), name: "hidden")
    let plain = try backend.values(
      try #require(
        try plainTape.gradients(of: try plainHead.scores(leaf, examples, on: plainTape), cotangent: cotangent)[leaf]))
    var left = 0
    for (place, value) in gradient.enumerated() where value != 0 {
      left += 1
      #expect(abs(value - 2 * plain[place]) <= 1e-5 * max(1, abs(plain[place])))
    }
    // Of 72 numbers half are left, give or take five deviations.
    #expect(abs(left - 36) <= 21, "\(left)")
    // What is left counts in the scores as it does in the gradient.
    let weight = try backend.values(head.parameters[0].value)
    for row in 0..<3 {
      for output in 0..<3 {
        let sum = (0..<24).reduce(0.0) { sum, column in
          let place = row * 24 + column
          return gradient[place] == 0 ? sum : sum + 2 * Double(rows[place]) * Double(weight[output * 24 + column])
        }
        #expect(abs(sum - Double(got[row * 3 + output])) <= 1e-5)
      }
    }
  }

  @Test func newWeightsFollowTheSeed() throws {
    let backend = try Backends.cpu.make()
    func values(_ seed: UInt64) throws -> [[Float]] {
      let labels = (0..<40).map { "l\($0)" }
      let head = try ClassifierHead(try Self.request(on: backend, token: .mean, labels: labels, seed: seed))
      #expect(head.parameters.map(\.name) == ["head.output.weight", "head.output.bias"])
      return try head.parameters.map { try backend.values($0.value) }
    }
    let first = try values(1)
    #expect(try values(1) == first)
    #expect(try values(2)[0] != first[0])
    #expect(first[1].allSatisfy { $0 == 0 })
    let square = first[0].reduce(0.0) { $0 + Double($1) * Double($1) } / Double(first[0].count)
    // The deviation of 960 normal numbers is known to 1 part in sqrt(2 * 960), 2.3%.
    #expect(abs(square.squareRoot() / 0.02 - 1) < 0.1)
  }

  /// The scores of a verbalizer are those of the whole vocabulary at its words.
  @Test(arguments: Backends.available) func wordsAreRowsOfTheVocabulary(_ device: TestBackend) throws {
    let backend = try device.make()
    let request = try Self.request(on: backend, labels: ["0", "1"], words: ["no", "yes"])
    let head = try VerbalizerHead(request)
    #expect(head.wordTokens == [UInt8(ascii: "n"), UInt8(ascii: "y")].map(Int32.init))
    let task = TaskModel(PromptedModel(model: request.model, prompt: NoPrompt()), head: head)
    let examples = Self.examples([.label(0), .label(1), .label(1)])
    let scores = try task.scores(examples)
    let tape = Tape(backend, isRecording: false)
    let hidden = try task.prompted.hiddenStates(examples, .last, on: tape)
    let all = try backend.values(try request.model.logits(hidden, on: tape).value)
    for (number, row) in scores.enumerated() {
      expectClose(row, head.wordTokens.map { all[number * 258 + Int($0)] }, within: 1e-4)
    }
  }

  /// Wanted rows are those of the whole text, wherever they are asked for.
  @Test(arguments: Backends.available) func wantedRowsAreRowsOfTheText(_ device: TestBackend) throws {
    let backend = try device.make()
    let model = try TinyModel.gpt2(on: backend)
    let prompt = try StaticPrompt(
      values: normals(3 * 24, seed: 8), length: 3, width: 24, isTrainable: false, on: backend)
    let prompted = PromptedModel(model: model, prompt: prompt)
    let examples = Self.examples([.label(0), .label(1), .label(1)])
    func rows(_ wanted: WantedRows) throws -> [Float] {
      try backend.values(
        try prompted.hiddenStates(examples, wanted, on: Tape(backend, isRecording: false)).value)
    }
    let (text, last) = (try rows(.text), try rows(.last))
    #expect(text.count == 11 * 24 && last.count == 3 * 24)
    func chosen(_ places: [Int]) -> [Float] { places.flatMap { text[$0 * 24..<($0 + 1) * 24] } }
    expectClose(last, chosen([4, 6, 10]), within: 1e-4)
    var words = examples
    for (number, places) in [[0, 3], [1], [0, 1, 3]].enumerated() { words[number].wordPlaces = places }
    let states = try prompted.hiddenStates(words, .words, on: Tape(backend, isRecording: false))
    expectClose(try backend.values(states.value), chosen([0, 3, 6, 7, 8, 10]), within: 1e-4)
  }

  @Test func combinationsThatMakeNoSense() throws {
    let backend = try Backends.cpu.make()
    func refused(_ reason: String, _ build: (HeadRequest) throws -> any TaskHead, _ request: HeadRequest) {
      let error = #expect(throws: MethodError.self) { _ = try build(request) }
      #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
    }
    let labels = ["a", "b"]
    refused("no mask token", { try ClassifierHead($0) }, try Self.request(on: backend, token: .mask, labels: labels))
    refused("knows nothing", { try ClassifierHead($0) }, try Self.request(on: backend, token: .first, labels: labels))
    refused("two labels", { try ClassifierHead($0) }, try Self.request(on: backend))
    refused("verbalizer", { try ClassifierHead($0) }, try Self.request(on: backend, labels: labels, words: labels))
    refused("learns numbers", { try RegressorHead($0) }, try Self.request(on: backend, words: labels))
    refused(
      "same token", { try VerbalizerHead($0) }, try Self.request(on: backend, labels: labels, words: ["yes", "you"]))
    refused("label words", { try VerbalizerHead($0) }, try Self.request(on: backend, labels: labels, words: ["a"]))
    refused("--head-token", { try LanguageModelHead($0) }, try Self.request(on: backend, token: .last))
    refused("two labels", { try TokenClassifierHead($0) }, try Self.request(on: backend, labels: ["a"]))
    refused("every word", { try TokenClassifierHead($0) }, try Self.request(on: backend, token: .last, labels: labels))
    refused("verbalizer", { try TokenClassifierHead($0) }, try Self.request(on: backend, labels: labels, words: labels))
    #expect(Head(rawValue: "classifer") == nil)
    #expect(Set(Head.allCases.map(\.rawValue)).count == Head.kinds.count)
  }
}
