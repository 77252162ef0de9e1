import Foundation
import Yams

extension ConfigurationLayer {
  /// Reads a YAML file of keys and values.
  ///
  /// - Throws: `TrainingError.configuration` naming file and key or line.
  public init(yaml path: String) throws {
    func broken(_ reason: String) -> TrainingError { .configuration(origin: path, reason: reason) }
    let bytes: Data
    do {
      bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw TrainingError.unreadable(path: path, reason: exists ? "not a readable file" : "no such file")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw broken("invalid UTF-8") }
    self.init(origin: path)
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw broken(Self.describe(error))
    }
    guard let node else { return }  // an empty file sets nothing
    guard case .mapping(let mapping) = node else { throw broken("not a mapping of keys to values") }
    for (keyNode, valueNode) in mapping {
      guard let key = keyNode.string else { throw broken("a key is not a string") }
      append(key, try Self.value(valueNode, key, broken))
    }
  }

  private static func value(_ node: Node, _ key: String, _ broken: (String) -> TrainingError) throws
    -> ConfigurationValue
  {
    switch node {
    case .scalar(let scalar):
      // Quoted text is text whatever it looks like.
      if scalar.style == .singleQuoted || scalar.style == .doubleQuoted { return .string(scalar.string) }
      if node.null != nil { throw broken("key '\(key)' has no value") }
      if let truth = node.bool { return .boolean(truth) }
      if let whole = node.int { return .integer(whole) }
      if let number = node.float { return .number(number) }
      return .string(scalar.string)
    case .sequence(let items):
      return .list(
        try items.map {
          guard case .scalar(let scalar) = $0 else { throw broken("key '\(key)' is not a list of plain values") }
          return scalar.string
        })
    default: throw broken("key '\(key)' is neither a plain value nor a list")
    }
  }

  private static func describe(_ error: YamlError) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      "line \(mark.line): not valid YAML: \(problem)"
    case .duplicatedKeysInMapping(let duplicates, _) where !duplicates.isEmpty:
      "key '\(duplicates[0])' is there twice"
    default: "not valid YAML"
    }
  }
}
