/// Which template of a pool puts examples into words when a model is used, not trained.
public enum InferenceTemplate: Sendable, Hashable, CustomStringConvertible {
  /// Every template, the outputs averaged.
  case average
  /// One template, counted from 1.
  case one(Int)

  /// - Throws: `MethodError.refused` for anything but `average` and a number from 1.
  public init(argument: String) throws {
    if argument == "average" {
      self = .average
    } else if let number = Int(argument), number >= 1 {
      self = .one(number)
    } else {
      throw MethodError.refused("--inference-template is '\(argument)'; it is 'average' or a number from 1")
    }
  }

  public var description: String {
    switch self {
    case .average: "average"
    case .one(let number): String(number)
    }
  }

  /// One template for what reads a single text: the first where outputs are averaged.
  public var choice: TemplatePool.Choice {
    switch self {
    case .average: .fixed(0)
    case .one(let number): .fixed(number - 1)
    }
  }

  /// The places, from 0, of the templates that are used.
  ///
  /// - Throws: `MethodError.refused` for a template that is not there.
  public func places(of count: Int) throws -> [Int] {
    switch self {
    case .average: return Array(0..<count)
    case .one(let number):
      guard number <= count else {
        throw MethodError.refused("--inference-template \(number): there are \(count) templates")
      }
      return [number - 1]
    }
  }
}

extension InferenceTemplate: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    do {
      self = try InferenceTemplate(argument: text)
    } catch {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "\(error)"))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
