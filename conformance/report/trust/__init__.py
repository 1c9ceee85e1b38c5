"""Who answers for a record: keys, signatures, waivers, certificates, and the verifier that tests them all.

    keys            Ed25519 and P-256; the key id is the SHA-256 of the public key
    key_files       NAME.pem and NAME.pub.pem, whom a verifier trusts
    token_keys      keys that stay in a token (PKCS#11), which token_uri names
    dsse            the envelope
    sealed          a JSON statement in an envelope, with who signed it, in which role, when
    statements      in-toto: the record as test-result and as svr
    signing         signatures on a bundle
    known_catalogue the catalogue that judged, as data
    plans           a record against that catalogue
    verification    all of it together, for one bundle
    waivers, certificates, status   what else is signed

Nothing here reaches for the network.
"""
