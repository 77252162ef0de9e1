/// Work that is left out because no result depends on it.
///
/// Each saving can be taken away, to prove that it is exact and to see what it is worth.
public struct ExactSavings: OptionSet, Sendable, Hashable, Codable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// What all sequences of a batch begin with is computed once, where later tokens do not change it.
  public static let sharedFront = ExactSavings(rawValue: 1 << 0)
  /// The last layer computes the rows alone whose hidden states are wanted.
  public static let outputRows = ExactSavings(rawValue: 1 << 1)
  /// Where something trainable reaches some rows of a value alone, no other rows get a gradient.
  public static let gradientRows = ExactSavings(rawValue: 1 << 2)

  /// What all sequences of a batch begin with is computed once a run, where nothing trainable stands in front of it.
  public static let frozenFront = ExactSavings(rawValue: 1 << 3)

  public static let all: ExactSavings = [.sharedFront, .outputRows, .gradientRows, .frozenFront]

  /// Every saving with the name that takes it away.
  public static let named: [(name: String, saving: ExactSavings)] = [
    ("shared-front", .sharedFront), ("output-rows", .outputRows), ("gradient-rows", .gradientRows),
    ("frozen-front", .frozenFront),
  ]

  /// All savings but those named; nil if a name is none of `named`.
  public init?(without names: [String]) {
    var savings = ExactSavings.all
    for name in names {
      guard let known = Self.named.first(where: { $0.name == name }) else { return nil }
      savings.remove(known.saving)
    }
    self = savings
  }

  /// The names of those that are missing.
  public var missing: [String] { Self.named.filter { !contains($0.saving) }.map(\.name) }
}
