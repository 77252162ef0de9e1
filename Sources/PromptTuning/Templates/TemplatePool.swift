import Compute

/// Templates for the same rows, of which an example gets one in each pass over the data (DynaMaR, Sun et al., 2022).
public struct TemplatePool: Sendable, Hashable {
  /// Which template an example gets.
  public enum Choice: Sendable, Hashable {
    /// Each with the same probability, drawn anew for every example in every pass.
    case sampled
    /// One by its place, from 0.
    case fixed(Int)
  }

  /// Separates this use of the seed from others.
  private static let stream: UInt64 = 0x7465_6D70_0000_0000

  /// At least one.
  public let templates: [TextTemplate]
  public var choice: Choice
  public var seed: UInt64

  /// - Throws: `MethodError.refused` without a template, or for a choice of one that is not there.
  public init(_ templates: [TextTemplate], choice: Choice = .sampled, seed: UInt64 = 0) throws {
    guard !templates.isEmpty else { throw MethodError.refused("a pool of templates needs at least one") }
    if case .fixed(let place) = choice, !templates.indices.contains(place) {
      throw MethodError.refused("template \(place + 1) is asked for, the pool has \(templates.count)")
    }
    self.templates = templates
    self.choice = choice
    self.seed = seed
  }

  public var count: Int { templates.count }

  /// Whether an example's template changes from one pass to the next.
  public var varies: Bool { choice == .sampled && templates.count > 1 }

  /// The place of an example's template.
  ///
  /// It depends on the seed, the row and the pass alone, not on batches or the order of the data.
  public func index(for example: Example, round: Int) -> Int {
    switch choice {
    case .fixed(let place): return place
    case .sampled:
      guard templates.count > 1 else { return 0 }
      var generator = Philox(
        seed: seed, stream: Self.stream ^ UInt64(round) << 40 ^ UInt64(example.source.line),
        index: UInt64(example.part) << 8)
      return generator.nextIndex(below: templates.count)
    }
  }
}
