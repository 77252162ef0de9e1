/// The name of a head, one of `kinds`.
public struct Head: RawRepresentable, Sendable, Hashable, Codable, CaseIterable {
  /// The heads that can be chosen.
  public static var kinds: [any TaskHead.Type] {
    [
      LanguageModelHead.self, VerbalizerHead.self, ClassifierHead.self, RegressorHead.self,
      TokenClassifierHead.self,
    ]
  }

  public static let languageModel = Head(LanguageModelHead.self)
  public static let verbalizer = Head(VerbalizerHead.self)
  public static let classifier = Head(ClassifierHead.self)
  public static let regressor = Head(RegressorHead.self)

  public static var allCases: [Head] { kinds.map { Head($0) } }

  public let rawValue: String

  /// - Returns: nil for an unknown name.
  public init?(rawValue: String) {
    guard Head.kinds.contains(where: { $0.name == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  init(_ kind: any TaskHead.Type) { rawValue = kind.name }

  /// The type behind the name.
  public var kind: any TaskHead.Type { Head.kinds.first { $0.name == rawValue } ?? LanguageModelHead.self }
}
