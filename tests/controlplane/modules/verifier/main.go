// Command verifier tells whether Go's TLS client would accept a server's certificates, as the API server does.
//
// verifier BUNDLE CHAIN NAME: PEM files of the caBundle and of the chain served, and the name asked for. It ends
// with 0 and says nothing, or with 1 and says why not.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

func main() {
	if err := verify(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verify(bundle, chain, name string) error {
	authorities, err := certificates(bundle)
	if err != nil {
		return err
	}
	served, err := certificates(chain)
	if err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, authority := range authorities {
		roots.AddCert(authority)
	}
	for _, further := range served[1:] {
		between.AddCert(further)
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	_, err = served[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: name, KeyUsages: usage,
	})
	return err
}

func certificates(path string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return found, nil
}
