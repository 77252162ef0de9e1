import Foundation
import PromptTuning

/// Examples by number, as token ids, for the trainer and for validation.
public protocol TrainingData: AnyObject {
  /// How many there are; at least one.
  var count: Int { get }
  /// Changes when the examples do, so that a run is not continued with others by accident.
  var fingerprint: UInt32 { get }
  /// The files that the examples come from and how often each is drawn from; nil for a single one.
  var mixture: Mixture? { get }

  /// An example's tokens.
  ///
  /// - Parameter epoch: the pass over the data, from 0; choices at random are made anew in each.
  func example(_ index: Int, epoch: Int) throws -> EncodedExample
}

extension TrainingData {
  public var mixture: Mixture? { nil }
}

/// What was left out so that examples fit the model.
public struct TruncationReport: Sendable, Hashable, Codable {
  /// Examples that lost something.
  public var examples = 0
  /// Whole demonstrations that were left out.
  public var demonstrations = 0
  /// Tokens of inputs that were left out.
  public var inputTokens = 0

  public init() {}

  mutating func add(_ example: EncodedExample) {
    guard example.cutDemonstrations > 0 || example.cutInputTokens > 0 else { return }
    examples += 1
    demonstrations += example.cutDemonstrations
    inputTokens += example.cutInputTokens
  }
}

/// Input and target pairs in the tokens of a template.
public final class EncodedExamples: TrainingData {
  public let examples: [Example]
  public let encoder: ExampleEncoder
  public let fingerprint: UInt32
  public let mixture: Mixture?
  /// Tokens of all examples in the first pass: input, target and end tokens.
  public let tokenCount: Int
  /// What was cut in the first pass.
  public let truncation: TruncationReport
  /// The number of the first example behind each task's; nil where all belong to one.
  private let taskEnds: [Int]?
  /// The tokens of each example, where they are the same in every pass.
  private let encoded: [EncodedExample]?

  /// Encodes all examples once, so that one that does not fit is found before anything else happens.
  ///
  /// - Parameter taskCounts: examples of each task, which lie one after the other; nil for the mixture's files.
  /// - Throws: `MethodError.tooLong` with file and line.
  public init(
    _ examples: [Example], encoder: ExampleEncoder, mixture: Mixture? = nil, taskCounts: [Int]? = nil
  ) throws {
    precondition(!examples.isEmpty, "there is at least one example")
    self.examples = examples
    self.encoder = encoder
    self.mixture = mixture
    let ends = (taskCounts ?? mixture?.counts).map { counts in
      counts.indices.map { counts[...$0].reduce(0, +) }
    }
    taskEnds = ends
    let varies = encoder.varies
    var truncation = TruncationReport()
    var tokenCount = 0
    var checksum = Checksum()
    if let mixture {
      checksum.add(mixture.counts.map { Int32(truncatingIfNeeded: $0) })
      checksum.add(mixture.shares.map { Int32(bitPattern: Float($0).bitPattern) })
    }
    var encoded: [EncodedExample] = []
    if !varies { encoded.reserveCapacity(examples.count) }
    for (number, example) in examples.enumerated() {
      var tokens = try encoder.encode(example)
      tokens.task = Self.task(of: number, ends)
      truncation.add(tokens)
      tokenCount += tokens.tokenCount
      checksum.add(tokens.context)
      checksum.add(tokens.target)
      if let answer = tokens.answer { checksum.add(answer.numbers) }
      if !varies { encoded.append(tokens) }
      // Any template of a pool may come up later.
      if encoder.texts?.varies == true {
        for template in 0..<encoder.templateCount {
          let other = try encoder.encode(example, template: template)
          checksum.add(other.context)
        }
      }
    }
    self.truncation = truncation
    self.tokenCount = tokenCount
    self.encoded = varies ? nil : encoded
    fingerprint = checksum.value
  }

  public var count: Int { examples.count }

  public func example(_ index: Int, epoch: Int) throws -> EncodedExample {
    if let encoded { return encoded[index] }
    var example = try encoder.encode(examples[index], round: epoch)
    example.task = Self.task(of: index, taskEnds)
    return example
  }

  private static func task(of index: Int, _ ends: [Int]?) -> Int { ends?.firstIndex { index < $0 } ?? 0 }
}
